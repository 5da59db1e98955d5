// SPDX-License-Identifier: MIT
// Byte streams over real sockets, and the loop that they run on.
#include "net/byte_stream.hpp"

#include <atomic>
#include <csignal>
#include <future>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>

#include "net/local_twin.hpp"
#include "tests/net/fixture.hpp"

namespace lp::net::test {
namespace {

/// A loop with its thread. What is given to on() is done by hooks::turn, where actors would be.
class running_loop {
 public:
  running_loop()
      : thread_([this] {
          loop.run({[this] { return turn(); }, [this] { ++moves; }});
        }) {}
  ~running_loop() {
    loop.release();
    thread_.join();
  }

  /// Does `f` in a turn and waits for its end.
  void on(const std::function<void()>& f) {
    std::promise<void> done;
    later([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  void later(std::function<void()> f) {
    loop.post([this, f = std::move(f)]() mutable { todo_.push_back(std::move(f)); });
  }

  event_loop loop;
  std::atomic<int> moves{0};

 private:
  bool turn() {
    const auto now = std::exchange(todo_, {});
    for (const auto& f : now) f();
    return !todo_.empty();
  }

  std::vector<std::function<void()>> todo_;
  std::thread thread_;
};

/// Keeps what it hears.
class listener : public byte_stream::observer {
 public:
  void on_open() override { open.put(true); }
  void on_received(std::string_view bytes) override {
    heard += bytes;
    if (heard.size() >= wanted) all.put(heard);
  }
  void on_drained() override { drained.put(true); }
  void on_closed(const std::string& why) override { closed.put(why); }

  std::string heard;
  std::size_t wanted = 1;
  slot<bool> open;
  slot<bool> drained;
  slot<std::string> all;
  slot<std::string> closed;
};

/// One accepted stream and who listens to it.
struct server {
  explicit server(running_loop& l, stream_options o = {}, std::uint16_t port = 0) : loop(l) {
    port_ = get(listen(l.loop, "127.0.0.1", port, o));
    l.on([&] {
      port_->start([this](std::shared_ptr<byte_stream> s) {
        s->start(seen);
        accepted.put(s);
      });
    });
  }
  ~server() {
    loop.on([&] {
      port_->stop();
      if (const auto s = accepted.wait(clock::now())) (*s)->close({});
    });
  }
  std::uint16_t port() const { return port_->port(); }

  running_loop& loop;
  std::shared_ptr<listener> seen = std::make_shared<listener>();
  slot<std::shared_ptr<byte_stream>> accepted;

 private:
  std::shared_ptr<byte_listener> port_;
};

std::vector<char> bytes(std::size_t count) {
  std::vector<char> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<char>(i * 7 % 251);
  return out;
}

TEST(byte_stream, carries_what_is_larger_than_any_buffer) {
  running_loop l;
  server s(l);
  const std::vector<char> sent = bytes(8 << 20);
  s.seen->wanted = sent.size() + 4;
  const auto ours = std::make_shared<listener>();
  const auto stream = make_stream(l.loop, "localhost", s.port(), {});
  stream->start(ours);
  ASSERT_TRUE(ours->open.wait());
  l.on([&] {
    std::vector<char> first = sent;
    EXPECT_TRUE(stream->write(first));
    EXPECT_TRUE(first.empty());
    // Nobody has read yet: the kernel's buffer is full, and the next write has to wait.
    std::vector<char> next = bytes(4);
    EXPECT_FALSE(stream->write(next));
    EXPECT_EQ(next.size(), 4U);
    stream->close(next);
  });
  const auto got = s.seen->all.wait();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->substr(0, sent.size()), std::string(sent.begin(), sent.end()));
  EXPECT_TRUE(s.seen->closed.wait());
}

TEST(byte_stream, says_why_it_could_not_connect) {
  running_loop l;
  std::uint16_t free = 0;
  { free = server(l).port(); }
  const auto ours = std::make_shared<listener>();
  make_stream(l.loop, "127.0.0.1", free, {})->start(ours);
  const auto why = ours->closed.wait();
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("refused"), std::string::npos) << *why;
}

TEST(byte_stream, leaves_a_side_that_says_nothing) {
  running_loop l;
  stream_options o;
  o.opening_timeout = milliseconds(50);
  server s(l, o);
  boost::asio::io_context io;
  boost::asio::ip::tcp::socket silent(io);
  silent.connect({boost::asio::ip::address_v4::loopback(), s.port()});
  const auto why = s.seen->closed.wait();
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("says nothing"), std::string::npos) << *why;
  char byte = 0;
  boost::system::error_code ec;
  boost::asio::read(silent, boost::asio::buffer(&byte, 1), ec);
  EXPECT_EQ(ec, boost::asio::error::eof);
}

/// Sends to the server and back, and says which way that went.
std::string way(running_loop& l, server& s) {
  const auto ours = std::make_shared<listener>();
  const auto stream = make_stream(l.loop, "127.0.0.1", s.port(), {});
  stream->start(ours);
  const auto theirs = s.accepted.wait();
  if (!theirs || !ours->open.wait()) return "no connection";
  std::uint16_t from = 0;
  l.on([&] {
    std::vector<char> there = bytes(3);
    std::vector<char> back = bytes(5);
    EXPECT_TRUE(stream->write(there));
    EXPECT_TRUE((*theirs)->write(back));
    from = (*theirs)->port();
    EXPECT_EQ(stream->port(), s.port());
    EXPECT_EQ(stream->address(), "127.0.0.1");
    EXPECT_EQ((*theirs)->address(), "127.0.0.1");
  });
  EXPECT_EQ(s.seen->all.wait().value_or("").size(), 3U);
  EXPECT_EQ(ours->all.wait().value_or("").size(), 5U);
  l.on([&] { stream->close({}); });
  return from == 0 ? "local" : "tcp";
}

local_endpoint twin_of(std::uint16_t port) {
  return *local_twin({boost::asio::ip::address_v4::loopback(), port});
}

TEST(local_twin, is_taken_on_a_loopback_address) {
  running_loop l;
  server s(l);
  EXPECT_EQ(way(l, s), "local");
}

TEST(local_twin, belongs_to_loopback_addresses_alone) {
  using boost::asio::ip::make_address;
  EXPECT_FALSE(local_twin({make_address("10.0.0.1"), 8935}));
  EXPECT_FALSE(local_twin({make_address("0.0.0.0"), 8935}));
  EXPECT_NE(*local_twin({make_address("127.0.0.1"), 8935}),
            *local_twin({make_address("::1"), 8935}));
}

TEST(local_twin, is_free_again_after_its_listener) {
  running_loop l;
  std::uint16_t port = 0;
  {
    server s(l);
    port = s.port();
    EXPECT_LT(listen_locally(twin_of(port)), 0);
  }
  const int fd = listen_locally(twin_of(port));
  EXPECT_GE(fd, 0);
  ::close(fd);
}

// A port whose twin is taken, by a process of that user which accepts nothing.
struct squatter {
  squatter(std::uint16_t port, uid_t user) {
    int ready[2];
    if (::pipe(ready) != 0) return;
    pid = ::fork();
    if (pid == 0) {
      const char good = ::setuid(user) == 0 && listen_locally(twin_of(port)) >= 0 ? 1 : 0;
      while (::write(ready[1], &good, 1) != 1) {
      }
      for (;;) ::pause();
    }
    char good = 0;
    listens = ::read(ready[0], &good, 1) == 1 && good == 1;
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~squatter() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid = -1;
  bool listens = false;
};

std::uint16_t free_port() {
  boost::asio::io_context io;
  using boost::asio::ip::tcp;
  return tcp::acceptor(io, {boost::asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
}

TEST(local_twin, of_another_user_is_not_believed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  const std::uint16_t port = free_port();
  const squatter other(port, 65534);
  ASSERT_TRUE(other.listens);
  running_loop l;
  server s(l, {}, port);
  EXPECT_EQ(way(l, s), "tcp");
}

TEST(local_twin, goes_on_after_its_buffer_was_full) {
  running_loop l;
  server s(l);
  const auto ours = std::make_shared<listener>();
  const auto stream = make_stream(l.loop, "127.0.0.1", s.port(), {});
  stream->start(ours);
  ASSERT_TRUE(s.accepted.wait());
  ASSERT_TRUE(ours->open.wait());
  s.seen->wanted = 4 << 20;
  l.on([&] {
    std::vector<char> large = bytes(4 << 20);
    EXPECT_TRUE(stream->write(large));
  });
  ASSERT_TRUE(s.seen->all.wait());
  ASSERT_TRUE(ours->drained.wait());
  // The stream still reads, and can be written to.
  l.on([&] {
    std::vector<char> there = bytes(10);
    EXPECT_TRUE(stream->write(there));
    std::vector<char> back = bytes(5);
    EXPECT_TRUE((*s.accepted.wait())->write(back));
  });
  EXPECT_EQ(ours->all.wait().value_or("").size(), 5U);
  l.on([&] { stream->close({}); });
}

TEST(tls, names_the_file_that_cannot_be_used) {
  const auto c = load_tls({"/nowhere/node.pem", "/nowhere/node.key", "/nowhere/ca.pem"});
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().code, ec::bad_config);
  EXPECT_NE(c.error().message.find("/nowhere/node.pem"), std::string::npos);
}

TEST(event_loop, goes_on_while_long_work_is_done) {
  running_loop l;
  std::promise<void> heard;
  l.on([] {});  // it runs
  const int before = l.moves;
  l.on([&] {
    const auto first = std::this_thread::get_id();
    l.loop.long_work([&] {
      // Handled by the loop although its thread is here; and by one thread only.
      l.later([&] {
        EXPECT_TRUE(l.loop.owned_here());
        EXPECT_NE(std::this_thread::get_id(), first);
        heard.set_value();
      });
      heard.get_future().wait();
      EXPECT_FALSE(l.loop.owned_here());
    });
    EXPECT_TRUE(l.loop.owned_here());
    EXPECT_EQ(std::this_thread::get_id(), first);
  });
  EXPECT_EQ(l.moves, before + 2);
}

TEST(event_loop, keeps_its_thread_through_much_short_work) {
  running_loop l;
  int done = 0;
  for (int i = 0; i < 2000; ++i) {
    l.on([&] { l.loop.long_work([&] { ++done; }); });
  }
  EXPECT_EQ(done, 2000);
}

TEST(event_loop, takes_back_the_loop_after_work_that_throws) {
  running_loop l;
  l.on([&] {
    std::promise<void> heard;
    EXPECT_THROW(l.loop.long_work([&] {
      l.later([&] { heard.set_value(); });
      heard.get_future().wait();
      throw std::runtime_error("no memory");
    }),
                 std::runtime_error);
    EXPECT_TRUE(l.loop.owned_here());
  });
  l.on([] {});
}

TEST(byte_stream, goes_no_farther_than_this_host_without_tls) {
  running_loop running;
  // Of a network that is for documentation alone: nobody answers there.
  for (const char* host : {"192.0.2.1", "2001:db8::1", "0.0.0.0"}) {
    const auto heard = std::make_shared<listener>();
    const auto stream = make_stream(running.loop, host, 9, {});
    stream->start(heard);
    const auto why = heard->closed.wait();
    ASSERT_TRUE(why) << host;
    EXPECT_NE(why->find("beyond this host"), std::string::npos) << host << ": " << *why;
  }
}

}  // namespace
}  // namespace lp::net::test
