// SPDX-License-Identifier: MIT
#include "actors/network_servants.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

// Far above any message of the protocol, whose files travel in chunks. A peer that announces more,
// or reads so slowly that more piles up, is not one of ours.
constexpr std::size_t message_limit = 512 << 20;
// Taken at once for a message; the rest as its bytes arrive, whatever its head announces.
constexpr std::size_t first_reserve = 1 << 20;

caf::io::connection_handle next_handle() {
  static std::atomic<std::int64_t> last{0};
  return caf::io::connection_handle::from_int(++last);
}

}  // namespace

/// What the stream holds of the scribe.
class network_scribe::link final : public net::byte_stream::observer {
 public:
  explicit link(network_scribe* s) : scribe_(s) {}
  void on_open() override { scribe_->send(); }
  void on_received(std::string_view bytes) override { scribe_->received(bytes); }
  void on_drained() override { scribe_->send(); }
  void on_closed(const std::string& why) override { scribe_->closed(why); }

 private:
  caf::intrusive_ptr<network_scribe> scribe_;
};

network_scribe::network_scribe(network_backend& backend, std::shared_ptr<net::byte_stream> stream)
    : scribe(next_handle()), backend_(backend), stream_(std::move(stream)) {
  stream_->read(false);  // until the broker has it
}

network_scribe::~network_scribe() = default;

void network_scribe::start() {
  stream_->start(std::make_shared<link>(this));
}

void network_scribe::configure_read(caf::io::receive_policy::config policy) {
  using caf::io::receive_policy_flag;
  least_ =
      policy.first == receive_policy_flag::at_most ? 1 : std::max<std::size_t>(policy.second, 1);
  most_ = policy.first == receive_policy_flag::at_least ? message_limit : policy.second;
  if (least_ > message_limit) return drop("a message is too long");
  if (std::exchange(wanted_, true)) return;
  stream_->read(true);
  if (closed_) {
    // It failed before the broker had it; told later, since the broker is at work now.
    backend_.post([self = caf::intrusive_ptr<network_scribe>(this)] {
      self->io_failure(&self->backend_, caf::io::network::operation::read);
    });
  }
}

// The bytes of a message come in as many pieces as the network likes; the broker gets what it asked
// for, and asks anew while it is called.
void network_scribe::received(std::string_view bytes) {
  while (!bytes.empty() && !detached()) {
    if (message_.empty()) {
      if (const std::size_t taken = backend_.take_message(hdl(), bytes); taken > 0) {
        bytes.remove_prefix(taken);
        continue;
      }
    }
    const std::size_t room = most_ - message_.size();
    const std::size_t count = std::min(bytes.size(), room);
    if (message_.empty()) message_.reserve(std::min(least_, first_reserve));
    message_.insert(message_.end(), bytes.begin(), bytes.begin() + count);
    bytes.remove_prefix(count);
    if (message_.size() < least_) return;
    if (!consume(&backend_, message_.data(), message_.size())) return stream_->read(false);
    message_.clear();
    if (message_.capacity() > first_reserve) std::vector<char>().swap(message_);
  }
}

void network_scribe::flush() {
  if (out_.empty()) return;
  if (out_.size() > message_limit) return drop("it does not read");
  if (std::exchange(to_be_sent_, true)) return;
  backend_.at_end_of_turn(this);
}

void network_scribe::send() {
  if (out_.empty() || stream_->write(out_)) to_be_sent_ = false;
}

void network_scribe::closed(const std::string& why) {
  if (std::exchange(closed_, true)) return;
  log::debug("network", "connection {} {}: {}", stream_->address(), stream_->port(), why);
  if (!detached()) io_failure(&backend_, caf::io::network::operation::read);
}

void network_scribe::drop(const char* why) {
  backend_.post([self = caf::intrusive_ptr<network_scribe>(this), why] {
    self->stream_->close({});
    self->closed(why);
  });
}

void network_scribe::graceful_shutdown() {
  const caf::intrusive_ptr<network_scribe> keep(this);
  detach(&backend_, false);
  stream_->close(std::move(out_));
  out_.clear();
}

network_doorman::network_doorman(network_backend& backend,
                                 std::shared_ptr<net::byte_listener> listener,
                                 caf::io::accept_handle handle)
    : doorman(handle), backend_(backend), listener_(std::move(listener)) {}

// The listener's callback may outlive the broker's interest, not the doorman: it holds it.
void network_doorman::launch() {
  listener_->start(
      [self = caf::intrusive_ptr<network_doorman>(this)](std::shared_ptr<net::byte_stream> stream) {
        self->accepted(std::move(stream));
      });
}

void network_doorman::accepted(std::shared_ptr<net::byte_stream> stream) {
  if (detached()) return stream->close({});
  const auto scribe = caf::make_counted<network_scribe>(backend_, std::move(stream));
  parent()->add_scribe(scribe);
  doorman::new_connection(&backend_, scribe->hdl());
  scribe->start();
}

void network_doorman::graceful_shutdown() {
  const caf::intrusive_ptr<network_doorman> keep(this);
  detach(&backend_, false);
}

}  // namespace lp::actors
