// SPDX-License-Identifier: MIT
// Downloads from a hub that cuts, refuses, delays and lies.
#include "net/hub_client.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

#include <gtest/gtest.h>

#include "net/digest.hpp"
#include "tests/support/fault_hub.hpp"

namespace lp::net::test {
namespace {

namespace fs = std::filesystem;
using lp::testing::fault_hub;
using fault = fault_hub::fault;

constexpr std::uint64_t part = 1000;

std::string bytes(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 131 % 251);
  return out;
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class hub : public ::testing::Test {
 protected:
  hub() {
    fs::create_directories(folder_);
    write(content);
    file_ = {
        "unet/model.safetensors", content.size(), *digest_of(target_, digest_kind::sha256), {}};
    fs::remove(target_);
  }
  ~hub() override { fs::remove_all(folder_); }

  void write(const std::string& text) { std::ofstream(target_, std::ios::binary) << text; }

  hub_options options() const {
    hub_options o;
    o.endpoint = server.endpoint();
    o.part_bytes = part;
    o.connections = 3;
    o.tries = 4;
    o.first_pause = milliseconds(1);
    o.part_timeout = milliseconds(20000);
    return o;
  }

  result<void> download() {
    return hub_client(options()).download({"owner/name"}, file_, target_, progress_, stop_);
  }

  fs::path folder_ = fs::temp_directory_path() / ("lp_hub_" + std::to_string(::getpid()));
  fs::path target_ = folder_ / "model.safetensors";
  std::string content = bytes(10'500);  // eleven ranges
  hub_file file_;
  hub_progress progress_;
  cancel_token stop_;
  fault_hub server{{{"/owner/name/resolve/main/unet/model.safetensors", content},
                    {"/api/models/owner/name/revision/main",
                     R"({"id":"owner/name","sha":"0123","siblings":[
                        {"rfilename":"a/b.json","size":3,"blobId":"f00"},
                        {"rfilename":"c.safetensors","size":10,"blobId":"0",
                         "lfs":{"sha256":"abc","size":10,"pointerSize":134}}]})"}}};
};

TEST_F(hub, lists_files_with_what_verifies_them) {
  const auto listing = hub_client(options()).list({"owner/name"});
  ASSERT_TRUE(listing) << render(listing.error());
  EXPECT_EQ(listing->commit, "0123");
  ASSERT_EQ(listing->files.size(), 2U);
  EXPECT_EQ(listing->files[0].path, "a/b.json");
  EXPECT_EQ(listing->files[0].git_sha, "f00");
  EXPECT_EQ(listing->files[1].sha256, "abc");
  EXPECT_EQ(listing->files[1].size, 10U);
  EXPECT_EQ(hub_client(options()).list({"owner/other"}).error().code, ec::not_found);
}

TEST_F(hub, what_the_list_leaves_out_is_asked_for) {
  const std::string path = "/owner/name/resolve/main/unet/model.safetensors";
  using heads = fault_hub::heads;
  for (const char* left_out : {R"({"rfilename":"unet/model.safetensors"})",
                               R"({"rfilename":"unet/model.safetensors","size":null,"lfs":null})",
                               R"({"rfilename":"unet/model.safetensors","size":0})"}) {
    server.set("/api/models/owner/name/revision/main",
               fmt::format(R"({{"sha":"0123","siblings":[{}]}})", left_out));
    for (const heads how : {heads::right, heads::refused, heads::without_length}) {
      server.answer_heads(how);
      const auto listing = hub_client(options()).list({"owner/name"});
      ASSERT_TRUE(listing) << render(listing.error());
      file_ = listing->files.at(0);
      EXPECT_FALSE(file_.sized);
      const auto looked = hub_client(options()).look_at({"owner/name"}, file_);
      ASSERT_TRUE(looked) << render(looked.error());
      EXPECT_EQ(looked->size, content.size());
      ASSERT_TRUE(download());
      EXPECT_EQ(read_file(target_), content) << "and no empty file";
      fs::remove(target_);
    }
  }
  // A digest where the hub says one, also before a redirection to a store that knows none.
  server.answer_heads(heads::right);
  const std::string digest(64, 'a');
  server.set("/store", content);
  server.redirect(path, "/store");
  server.describe(path, fmt::format("Location: /store\r\nX-Repo-Commit: 0123\r\nX-Linked-Size: "
                                    "10500\r\nX-Linked-ETag: \"{}\"\r\n",
                                    digest));
  const auto looked = hub_client(options()).look_at({"owner/name"}, file_);
  ASSERT_TRUE(looked) << render(looked.error());
  EXPECT_EQ(looked->sha256, digest);
  EXPECT_EQ(looked->size, content.size());
}

TEST_F(hub, a_size_that_nobody_tells_is_an_error) {
  file_.sized = false;
  file_.size = 0;
  server.answer_heads(fault_hub::heads::refused);
  server.expect(std::deque<fault>(40, fault::unavailable));
  EXPECT_EQ(download().error().code, ec::unavailable);
  EXPECT_TRUE(fs::is_empty(folder_));
  write("");
  EXPECT_EQ(verify_file(target_, {"x", 0, {}, {}, false}).error().code, ec::bad_file);
}

TEST_F(hub, revisions_may_have_steps) {
  const hub_name name = parse_hub_name("owner/name@refs/pr/11").value();
  server.set("/api/models/owner/name/revision/refs%2Fpr%2F11",
             R"({"siblings":[{"rfilename":"unet/model.safetensors","size":10500}]})");
  server.set("/owner/name/resolve/refs%2Fpr%2F11/unet/model.safetensors", content);
  const auto listing = hub_client(options()).list(name);
  ASSERT_TRUE(listing) << render(listing.error());
  ASSERT_TRUE(hub_client(options()).download(name, listing->files.at(0), target_, {}, stop_));
  EXPECT_EQ(read_file(target_), content);
}

/// Sets a variable of the environment for a test.
class variable {
 public:
  variable(const char* name, const std::string& value) : name_(name) {
    if (const char* had = std::getenv(name)) before_ = had;
    ::setenv(name, value.c_str(), 1);
  }
  ~variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

TEST_F(hub, proxies_of_the_environment_are_heeded) {
  // To a proxy whole addresses are sent; of TLS it is asked for a tunnel.
  fault_hub proxy({{"http://hub.invalid/owner/name/resolve/main/unet/model.safetensors", content},
                   {"hub.invalid:443", ""}});
  const variable plain("http_proxy", proxy.endpoint());
  const variable secure("HTTPS_PROXY", proxy.endpoint());
  const variable none("NO_PROXY", "127.0.0.1,direct.invalid");
  hub_options o = options();
  o.endpoint = "http://hub.invalid";
  const auto through = hub_client(o).download({"owner/name"}, file_, target_, {}, stop_);
  ASSERT_TRUE(through) << render(through.error());
  EXPECT_EQ(read_file(target_), content);
  o.endpoint = "https://hub.invalid";
  o.tries = 1;
  EXPECT_EQ(hub_client(o).list({"owner/name"}).error().code, ec::unavailable);
  EXPECT_EQ(proxy.lines().back(), "CONNECT hub.invalid:443 HTTP/1.1");
  const auto asked = proxy.lines().size();
  o.endpoint = "http://direct.invalid";
  EXPECT_EQ(hub_client(o).list({"owner/name"}).error().code, ec::unavailable);
  EXPECT_TRUE(hub_client(options()).list({"owner/name"})) << "this host is left out, too";
  EXPECT_EQ(proxy.lines().size(), asked);
}

TEST_F(hub, tokens_do_not_follow_redirections_elsewhere) {
  fault_hub store({{"/stored", content}});
  fault_hub other({{"/stored", content}});
  other.demand_token("secret");
  hub_options o = options();
  o.token = "secret";
  const std::string path = "/owner/name/resolve/main/unet/model.safetensors";
  server.redirect(path, store.endpoint() + "/stored");
  ASSERT_TRUE(hub_client(o).download({"owner/name"}, file_, target_, {}, stop_));
  fs::remove(target_);
  server.redirect(path, other.endpoint() + "/stored");
  EXPECT_EQ(hub_client(o).download({"owner/name"}, file_, target_, {}, stop_).error().code,
            ec::unauthorized);
  server.redirect(path, path);
  const auto circle = hub_client(o).download({"owner/name"}, file_, target_, {}, stop_);
  EXPECT_EQ(circle.error().code, ec::unavailable);
  server.redirect(path, "file:///etc/passwd");
  EXPECT_FALSE(hub_client(o).download({"owner/name"}, file_, target_, {}, stop_));
  EXPECT_FALSE(fs::exists(target_));
}

TEST_F(hub, a_list_that_leads_out_of_the_folder_is_refused) {
  for (const char* path : {"../x", "/etc/x", "a/../../x", "", "a//b", "a\\\\b"}) {
    server.set("/api/models/owner/name/revision/main",
               fmt::format(R"({{"siblings":[{{"rfilename":"{}","size":3}}]}})", path));
    const auto listing = hub_client(options()).list({"owner/name"});
    ASSERT_FALSE(listing) << path;
    EXPECT_EQ(listing.error().code, ec::bad_file) << path;
  }
}

TEST_F(hub, a_file_comes_whole_in_ranges_and_tells_its_progress) {
  std::vector<std::uint64_t> told;
  progress_ = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, content.size());
    told.push_back(done);
  };
  const auto done = download();
  ASSERT_TRUE(done) << render(done.error());
  EXPECT_EQ(read_file(target_), content);
  EXPECT_EQ(server.requests(), 11);
  EXPECT_EQ(told.front(), 0U);
  EXPECT_EQ(told.back(), content.size());
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "nothing is left beside it";
}

TEST_F(hub, every_fault_is_survived) {
  for (const fault f : {fault::cut, fault::hang_up, fault::wrong_range, fault::whole,
                        fault::short_body, fault::too_many, fault::unavailable, fault::slow}) {
    server.expect({f, fault::none, f, f});
    const auto done = download();
    ASSERT_TRUE(done) << static_cast<int>(f) << render(done.error());
    EXPECT_EQ(read_file(target_), content);
    fs::remove(target_);
  }
}

TEST_F(hub, a_fault_without_end_is_told_and_the_next_call_goes_on) {
  // The first ranges arrive, then nothing does any more.
  std::deque<fault> faults(5, fault::none);
  faults.insert(faults.end(), 60, fault::unavailable);
  server.expect(faults);
  const auto done = download();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ec::unavailable);
  EXPECT_NE(done.error().message.find("503"), std::string::npos) << done.error().message;
  EXPECT_FALSE(fs::exists(target_));
  server.expect({});
  const int before = server.requests();
  std::uint64_t first = 0;
  bool told = false;
  progress_ = [&](std::uint64_t now, std::uint64_t) {
    if (!std::exchange(told, true)) first = now;
  };
  const auto again = download();
  ASSERT_TRUE(again) << render(again.error());
  EXPECT_EQ(server.requests() - before, 6) << "five of eleven ranges were there";
  EXPECT_EQ(first, 5 * part);
  EXPECT_EQ(read_file(target_), content);
}

TEST_F(hub, a_wrong_digest_is_an_error_and_leaves_nothing) {
  server.set("/owner/name/resolve/main/unet/model.safetensors", std::string(10'500, 'x'));
  const auto done = download();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ec::bad_file);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(hub, what_was_begun_for_another_version_is_not_used) {
  std::deque<fault> faults(5, fault::none);
  faults.insert(faults.end(), 60, fault::unavailable);
  server.expect(faults);
  ASSERT_FALSE(download());
  const std::string other(10'500, 'y');
  write(other);
  file_.sha256 = *digest_of(target_, digest_kind::sha256);
  fs::remove(target_);
  server.expect({});
  server.set("/owner/name/resolve/main/unet/model.safetensors", other);
  ASSERT_TRUE(download());
  EXPECT_EQ(read_file(target_), other);
}

TEST_F(hub, tokens_are_sent_and_their_lack_is_told) {
  server.demand_token("secret");
  EXPECT_EQ(download().error().code, ec::unauthorized);
  EXPECT_EQ(hub_client(options()).list({"owner/name"}).error().code, ec::unauthorized);
  hub_options o = options();
  o.token = "secret";
  EXPECT_TRUE(hub_client(o).download({"owner/name"}, file_, target_, {}, stop_));
}

TEST_F(hub, stops_when_told) {
  progress_ = [&](std::uint64_t done, std::uint64_t) {
    if (done >= 3 * part) stop_.cancel();
  };
  const auto done = download();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ec::cancelled);
  EXPECT_FALSE(fs::exists(target_));
}

TEST_F(hub, small_files_are_named_by_git) {
  const std::string text = "hello\n";
  write(text);
  hub_file small{"x", text.size(), {}, "ce013625030ba8dba906f756967f9e9ca394464a"};
  EXPECT_TRUE(verify_file(target_, small)) << "git hash-object says so";
  small.git_sha[0] = 'd';
  EXPECT_EQ(verify_file(target_, small).error().code, ec::bad_file);
  small.size = 7;
  EXPECT_NE(verify_file(target_, small).error().message.find("expected 7"), std::string::npos);
}

TEST(hub_name, is_read_with_and_without_its_scheme) {
  EXPECT_EQ(parse_hub_name("hf://a/b").value().repository, "a/b");
  EXPECT_EQ(parse_hub_name("a/b@v1").value().revision, "v1");
  EXPECT_EQ(parse_hub_name("hf://a/b@v1").value().text(), "a/b@v1");
  EXPECT_EQ(parse_hub_name("gpt2").value().text(), "gpt2");
  EXPECT_EQ(parse_hub_name("a/b@refs/pr/11").value().revision, "refs/pr/11");
  for (const char* wrong : {"", "hf://", "../x", "a/../b", "a/b/c", "a/b@", "a/b@../x", "a b", "/a",
                            "a/b@refs/../x", "a/b@/x", "a/b@x/"}) {
    EXPECT_FALSE(parse_hub_name(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace lp::net::test
