// SPDX-License-Identifier: MIT
#include "actors/network_servants.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/core.h>

#include "runtime/base/log_limit.hpp"

namespace lp::actors {

namespace {

// A peer that reads so slowly that more piles up is not one of ours.
constexpr std::size_t output_limit = 512 << 20;
// Buffers of whole frames that had to grow beyond this are given back.
constexpr std::size_t kept_size = 1 << 20;

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

network_scribe::network_scribe(network_backend& backend, std::shared_ptr<net::byte_stream> stream,
                               std::string dialled)
    : scribe(next_handle()),
      backend_(backend),
      stream_(std::move(stream)),
      dialled_(std::move(dialled)) {
  stream_->read(false);  // until the broker has it
}

network_scribe::~network_scribe() {
  forget_partial();
}

void network_scribe::start() {
  stream_->start(std::make_shared<link>(this));
}

// How much the broker wants at a time follows from the frames.
void network_scribe::configure_read(caf::io::receive_policy::config) {
  if (std::exchange(wanted_, true)) return;
  stream_->read(true);
  backend_.begins(hdl());
  if (closed_) {
    // It failed before the broker had it; told later, since the broker is at work now.
    backend_.post([self = caf::intrusive_ptr<network_scribe>(this)] {
      self->io_failure(&self->backend_, caf::io::network::operation::read);
    });
  }
}

// Frames come in as many pieces as the network likes. One that is whole is looked at where it lies.
void network_scribe::received(std::string_view bytes) {
  if (!check_) {
    const auto side = dialled_.empty() ? frame_check::side::accepted : frame_check::side::dialled;
    check_.emplace(backend_.rules(), side);
  }
  while (!bytes.empty() && !detached() && !refused_) {
    const std::size_t taken = partial_.empty() ? take_whole(bytes) : 0;
    if (refused_) return;
    if (taken > 0) {
      bytes.remove_prefix(taken);
    } else {
      bytes = collect(bytes);
    }
  }
}

std::size_t network_scribe::take_whole(std::string_view bytes) {
  if (bytes.size() < frame_head_size) return 0;
  const auto length = check_->length(bytes);
  if (!length) refuse(length.error().message);
  if (!length || bytes.size() < *length) return 0;
  return take(bytes.substr(0, *length)) ? *length : 0;
}

// Adds to the frame under way and gives it on when it is whole; returns what is left. Its head
// decides about its length before more is kept, and no memory is taken before its bytes are there.
std::string_view network_scribe::collect(std::string_view bytes) {
  std::size_t length = frame_head_size;
  if (partial_.size() >= frame_head_size) length = *check_->length(partial_);
  const std::size_t count = std::min(bytes.size(), length - partial_.size());
  if (!backend_.hold(count)) {
    refuse("too much of unfinished messages is kept already");
    return {};
  }
  partial_.append(bytes.substr(0, count));
  bytes.remove_prefix(count);
  if (partial_.size() < length) return bytes;
  if (length == frame_head_size) {
    const auto whole = check_->length(partial_);
    if (!whole) refuse(whole.error().message);
    if (!whole || *whole > frame_head_size) return bytes;
  }
  take(partial_);
  forget_partial();
  return bytes;
}

void network_scribe::forget_partial() {
  backend_.let_go(partial_.size());
  partial_.clear();
  if (partial_.capacity() > kept_size) std::string().swap(partial_);
}

// A frame that is whole; false if the connection ends with it.
bool network_scribe::take(std::string_view frame) {
  const frame_head head = read_frame_head(frame);
  const std::string_view body = frame.substr(frame_head_size);
  const bool message =
      head.operation == static_cast<int>(caf::io::basp::message_type::direct_message);
  if (message && check_->speaks(head.source) && backend_.take_known(hdl(), head, body)) return true;
  const bool introduces_itself = check_->peer().empty();
  const auto fate = check_->check(frame);
  if (!fate) {
    refuse(fate.error().message);
    return false;
  }
  if (dialled_.empty() && (introduces_itself || check_->held_back())) {
    // A connection that was lost unnoticed has to be noticed first; nobody takes another's place.
    if (!backend_.may_be(hdl(), check_->peer())) {
      if (introduces_itself) return check_->hold_back(), true;
      refuse("another connection is open under this node's id");
      return false;
    }
  }
  if (*fate == frame_check::fate::ignore) return true;
  if (message) {
    backend_.take_message(hdl(), head, body);
    return true;
  }
  return feed(frame.substr(0, frame_head_size)) && (body.empty() || feed(body));
}

// The broker takes what lies in rd_buf().
bool network_scribe::feed(std::string_view part) {
  message_.assign(part.begin(), part.end());
  if (!consume(&backend_, message_.data(), message_.size())) {
    refused_ = true;
    stream_->read(false);
  }
  return !refused_;
}

void network_scribe::flush() {
  if (out_.empty()) return;
  if (out_.size() > output_limit) return drop("it does not read");
  if (std::exchange(to_be_sent_, true)) return;
  backend_.at_end_of_turn(this);
}

void network_scribe::send() {
  if (out_.empty() || stream_->write(out_)) to_be_sent_ = false;
}

std::string network_scribe::who() const {
  if (!dialled_.empty()) return dialled_;
  return fmt::format("{}:{}", stream_->address(), stream_->port());
}

void network_scribe::closed(std::string why) {
  if (std::exchange(closed_, true)) return;
  const bool established = check_ && check_->established();
  if (!established && !partial_.empty()) why = frame_check::guess(partial_);
  forget_partial();
  log::debug("network", "connection {}: {}", who(), why);
  if (!dialled_.empty() && !established) backend_.note_failure(dialled_, why);
  if (dialled_.empty() && !established && !refused_) {
    log::sparingly(log::level::info, "network", stream_->address(),
                   "{} connected and did not say who it is ({})", stream_->address(), why);
  }
  if (!detached()) io_failure(&backend_, caf::io::network::operation::read);
}

// Told here, since only the one who refuses knows the reason; the other side sees the end.
void network_scribe::refuse(const std::string& why) {
  if (std::exchange(refused_, true)) return;
  if (dialled_.empty()) {
    log::sparingly(log::level::warn, "network", stream_->address() + why,
                   "the connection from {} is closed: {}", who(), why);
  } else if (check_->established()) {
    log::sparingly(log::level::warn, "network", dialled_ + why,
                   "the connection to {} is closed: {}", who(), why);
  }
  stream_->read(false);
  backend_.post([self = caf::intrusive_ptr<network_scribe>(this), why] {
    self->forget_partial();
    self->stream_->close({});
    self->closed(why);
  });
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
  const auto scribe = caf::make_counted<network_scribe>(backend_, std::move(stream), std::string());
  parent()->add_scribe(scribe);
  doorman::new_connection(&backend_, scribe->hdl());
  scribe->start();
}

void network_doorman::graceful_shutdown() {
  const caf::intrusive_ptr<network_doorman> keep(this);
  detach(&backend_, false);
}

}  // namespace lp::actors
