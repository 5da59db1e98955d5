// SPDX-License-Identifier: MIT
// CAF's view of a connection and of a listening port, over net's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/io/doorman.hpp>
#include <caf/io/scribe.hpp>

#include "actors/frame_check.hpp"
#include "actors/network_backend.hpp"

namespace lp::actors {

/// A connection of a broker. All but the constructor runs on the loop's thread. The broker gets
/// whole frames that frame_check has let pass, and no other byte.
class network_scribe final : public caf::io::scribe {
 public:
  /// `dialled`: the address that was asked for, "host:port"; empty for a connection that came in.
  network_scribe(network_backend& backend, std::shared_ptr<net::byte_stream> stream,
                 std::string dialled);
  ~network_scribe() override;

  /// Begins to connect or to read; from any thread, once, when somebody holds the scribe.
  void start();
  /// Sends what was flushed.
  void send();

  void configure_read(caf::io::receive_policy::config policy) override;
  void ack_writes(bool) override {}
  std::vector<char>& wr_buf() override { return out_; }
  std::vector<char>& rd_buf() override { return message_; }
  void flush() override;
  void graceful_shutdown() override;
  void add_to_loop() override { stream_->read(true); }
  void remove_from_loop() override { stream_->read(false); }
  std::string addr() const override { return stream_->address(); }
  std::uint16_t port() const override { return stream_->port(); }

 private:
  class link;

  void received(std::string_view bytes);
  std::size_t take_whole(std::string_view bytes);
  std::string_view collect(std::string_view bytes);
  bool take(std::string_view frame);
  bool feed(std::string_view part);
  void forget_partial();
  void closed(std::string why);
  void refuse(const std::string& why);
  void drop(const char* why);
  std::string who() const;

  network_backend& backend_;
  std::shared_ptr<net::byte_stream> stream_;
  const std::string dialled_;
  std::optional<frame_check> check_;  ///< from the first byte on
  std::vector<char> out_;             ///< written by the broker, not yet taken by the stream
  std::vector<char> message_;         ///< what the broker is given
  std::string partial_;               ///< of a frame that has not arrived whole
  bool to_be_sent_ = false;
  bool closed_ = false;
  bool refused_ = false;
  bool wanted_ = false;  ///< the broker has asked for data
};

/// A port that a broker listens on.
class network_doorman final : public caf::io::doorman {
 public:
  network_doorman(network_backend& backend, std::shared_ptr<net::byte_listener> listener,
                  caf::io::accept_handle handle);

  void launch() override;
  bool new_connection() override { return false; }  // the listener tells of them
  void graceful_shutdown() override;
  void add_to_loop() override {}
  void remove_from_loop() override { listener_->stop(); }
  std::string addr() const override { return listener_->address(); }
  std::uint16_t port() const override { return listener_->port(); }

 private:
  void accepted(std::shared_ptr<net::byte_stream> stream);

  network_backend& backend_;
  std::shared_ptr<net::byte_listener> listener_;
};

}  // namespace lp::actors
