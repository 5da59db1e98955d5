// SPDX-License-Identifier: MIT
// CAF's network on the node's event loop. CAF 0.17.6 alone: of the network layer of 1.x nothing
// here is needed.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <caf/io/basp/header.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/multiplexer.hpp>
#include <caf/io/system_messages.hpp>

#include "actors/message_form.hpp"
#include "net/byte_stream.hpp"
#include "net/event_loop.hpp"

namespace lp::actors {

/// Takes the place of CAF's own multiplexer, which spends half a dozen system calls on a message:
/// here a message's head and body come with one call, a write is tried at once, and what an actor
/// of this thread sends wakes nobody. Everything that the loop carries besides (a gateway's HTTP)
/// shares the thread. All connections use TLS if the system's configuration names the files;
/// connecting and handshakes are asynchronous and have a deadline.
class network_backend final : public caf::io::network::multiplexer {
 public:
  /// Throws std::runtime_error where the TLS files cannot be used; check them before.
  explicit network_backend(caf::actor_system* system);
  network_backend(const network_backend&) = delete;
  network_backend& operator=(const network_backend&) = delete;
  ~network_backend() override;

  net::event_loop& loop() { return loop_; }
  const net::stream_options& options() const { return options_; }

  /// Writes a message from an actor of this thread to one of another node, without the way through
  /// the mailbox of CAF's own broker; that takes everything else.
  void write_message(const caf::strong_actor_ptr& from, const caf::strong_actor_ptr& to,
                     const caf::message& what);

  /// The same for an atom and a body of one of the known forms; false for any other, or if the way
  /// to the node is not a direct one.
  bool write_body(const caf::strong_actor_ptr& from, const caf::strong_actor_ptr& to,
                  caf::atom_value what, const google::protobuf::Message& value);

  /// The way back: hands on the message that begins `bytes` and says how long it was. 0: there is
  /// none that is whole and of the plain kind, and CAF's broker is to take the bytes.
  std::size_t take_message(caf::io::connection_handle from, std::string_view bytes);

  /// Has the scribe send at the end of this turn, when the actors have written all they want to.
  /// On the loop's thread.
  void at_end_of_turn(caf::io::scribe_ptr scribe);

  caf::io::scribe_ptr new_scribe(caf::io::network::native_socket fd) override;
  caf::expected<caf::io::scribe_ptr> new_tcp_scribe(const std::string& host,
                                                    std::uint16_t port) override;
  caf::io::doorman_ptr new_doorman(caf::io::network::native_socket fd) override;
  caf::expected<caf::io::doorman_ptr> new_tcp_doorman(std::uint16_t port, const char* in,
                                                      bool reuse) override;
  caf::io::datagram_servant_ptr new_datagram_servant(caf::io::network::native_socket fd) override;
  caf::io::datagram_servant_ptr new_datagram_servant_for_endpoint(
      caf::io::network::native_socket fd, const caf::io::network::ip_endpoint& ep) override;
  caf::expected<caf::io::datagram_servant_ptr> new_remote_udp_endpoint(const std::string& host,
                                                                       std::uint16_t port) override;
  caf::expected<caf::io::datagram_servant_ptr> new_local_udp_endpoint(std::uint16_t port,
                                                                      const char* in,
                                                                      bool reuse) override;

  supervisor_ptr make_supervisor() override;
  bool try_run_once() override;
  void run_once() override;
  void run() override;
  void exec_later(caf::resumable* what) override;

 private:
  void make_known(const caf::strong_actor_ptr& who);
  bool deliver(caf::io::connection_handle from, const caf::io::basp::header& head,
               std::string_view payload);
  bool turn();
  void run_ready();
  caf::io::basp_broker& basp();

  net::event_loop loop_;
  net::stream_options options_;
  std::vector<caf::actor_id> known_;        ///< in the registry
  std::vector<message_form> forms_;         ///< of the messages of every job
  caf::io::new_data_msg frame_;             ///< the message being taken
  caf::io::basp_broker* basp_ = nullptr;    ///< lives until the middleman stops
  std::size_t throughput_;                  ///< messages an actor handles at a stretch
  std::deque<caf::resumable*> ready_;       ///< of this thread; each holds a reference
  std::vector<caf::io::scribe_ptr> dirty_;  ///< with output to send
  std::mutex mutex_;
  std::vector<caf::resumable*> inbox_;  ///< from other threads
};

/// The event loop of a node's network thread.
net::event_loop& network_loop(caf::actor_system& system);

}  // namespace lp::actors
