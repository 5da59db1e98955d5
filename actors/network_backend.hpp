// SPDX-License-Identifier: MIT
// CAF's network on the node's event loop. CAF 0.17.6 alone: of the network layer of 1.x nothing
// here is needed.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <caf/io/basp/header.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/multiplexer.hpp>
#include <caf/io/system_messages.hpp>

#include "actors/frame_check.hpp"
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

  /// What passes into this node.
  const frame_rules& rules();

  /// The way back, for frames that were checked. Of one of the known forms: false for any other.
  bool take_known(caf::io::connection_handle from, const frame_head& head, std::string_view body);
  /// Any other message.
  void take_message(caf::io::connection_handle from, const frame_head& head, std::string_view body);

  /// Whether the node of that id (of frame_check) may be the one behind this connection: it is
  /// behind no other. A connection that has been silent gives way.
  bool may_be(caf::io::connection_handle who, const std::string& node);

  /// The broker has this connection now: its silence counts from here.
  void begins(caf::io::connection_handle which);

  /// "host:port" of the node behind a connection; empty where there is none. On the loop's thread.
  std::string address_of(const caf::node_id& node);

  /// Ends the connection to a node, if there is one. From any thread.
  void disconnect(const caf::node_id& node);

  /// Frames that have not arrived whole, of all connections: false if so many bytes more are too
  /// many.
  bool hold(std::size_t bytes);
  void let_go(std::size_t bytes) { unfinished_ -= std::min(bytes, unfinished_); }

  /// Why there was no connection to "host:port" the last time. From any thread.
  void note_failure(const std::string& address, const std::string& why);
  std::string failure(const std::string& address);

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
  bool turn();
  void run_ready();
  caf::io::basp_broker& basp();

  net::event_loop loop_;
  net::stream_options options_;
  std::vector<caf::actor_id> known_;      ///< in the registry
  std::vector<message_form> forms_;       ///< of the messages of every job
  caf::io::new_data_msg frame_;           ///< the message being taken
  caf::io::basp_broker* basp_ = nullptr;  ///< lives until the middleman stops
  frame_rules rules_;                     ///< from the first connection on
  std::size_t unfinished_ = 0;            ///< bytes of frames that have not arrived whole
  std::mutex failures_mutex_;
  std::map<std::string, std::string> failures_;
  std::size_t throughput_;                  ///< messages an actor handles at a stretch
  std::deque<caf::resumable*> ready_;       ///< of this thread; each holds a reference
  std::vector<caf::io::scribe_ptr> dirty_;  ///< with output to send
  std::mutex mutex_;
  std::vector<caf::resumable*> inbox_;  ///< from other threads
};

/// Ends the connection to a node: what is between the two nodes starts anew. From any thread.
void disconnect(caf::actor_system& system, const caf::node_id& node);

/// "host:port" of a node that this one is connected to, for an actor of the network thread.
std::string address_of(caf::actor_system& system, const caf::node_id& node);

/// Why the last try to connect to "host:port" failed; empty if it is not known.
std::string connect_failure(caf::actor_system& system, const std::string& address);

/// The event loop of a node's network thread.
net::event_loop& network_loop(caf::actor_system& system);

}  // namespace lp::actors
