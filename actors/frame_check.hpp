// SPDX-License-Identifier: MIT
// Looks at the frames of CAF's protocol (BASP) before CAF does. CAF trusts whoever is connected: a
// handshake without a body ends its process, and so do lengths, nesting and pointers that no node
// of ours would send. What passes here is what our own nodes say, and nothing else. Knows no CAF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::actors {

/// A message that nodes send each other: its types as CAF writes them, and its first element.
struct message_rule {
  std::string types;         ///< "@<>+@atom+lp::actors::hello"
  std::uint64_t atom = 0;    ///< of the first element; 0: it is no atom
  bool response = false;     ///< answers a request
  bool to_named = false;     ///< to an actor that is known by a name
  bool ignored = false;      ///< one that CAF sends by itself and that nothing of ours needs
  std::uint64_t second = 0;  ///< of the second element, where that is an atom
  /// Whether these bytes are a body of that message; null: it has none.
  bool (*body)(std::string_view bytes) = nullptr;
};

/// What holds for every connection of a node.
struct frame_rules {
  std::string own_node;  ///< the node's id as CAF writes it
  std::vector<message_rule> messages;
};

/// A frame's head: 32 bytes.
struct frame_head {
  std::uint8_t operation = 0;
  std::uint8_t flags = 0;
  std::uint32_t payload = 0;  ///< bytes that follow
  std::uint64_t data = 0;
  std::uint64_t source = 0;
  std::uint64_t destination = 0;
};
constexpr std::size_t frame_head_size = 32;
/// Bytes of a node's id: its kind, the process and a digest of the host.
constexpr std::size_t node_id_size = 32;

/// Precondition: at least frame_head_size bytes.
frame_head read_frame_head(std::string_view bytes);

/// Checks one connection's frames in their order.
class frame_check {
 public:
  enum class side { dialled, accepted };  ///< of this node
  enum class fate { pass, ignore };

  frame_check(const frame_rules& rules, side s) : rules_(rules), side_(s) {}

  /// How long the frame that begins with these bytes is, at least frame_head_size of them.
  /// ec::bad_request says why no such frame may come now.
  result<std::size_t> length(std::string_view begin) const;

  /// The whole frame. ec::bad_request: the connection is to be closed.
  result<fate> check(std::string_view frame);

  /// For a message that was checked in another way: an actor of the peer speaks.
  result<void> speaks(std::uint64_t actor);

  /// What answers with these first bytes, for the one who chose the address.
  static std::string guess(std::string_view begin);

  /// The other side's id once it has shown it; empty before.
  const std::string& peer() const { return peer_; }
  /// Both sides have shown who they are.
  bool established() const { return established_; }

  /// The handshake shows an id that another connection has: nothing but the second one may follow.
  void hold_back() { held_back_ = true; }
  bool held_back() const { return held_back_; }

 private:
  result<void> check_head(const frame_head& h) const;
  result<fate> server_handshake(std::string_view body);
  result<fate> client_handshake(const frame_head& h, std::string_view body);
  result<fate> message(const frame_head& h, std::string_view body);
  result<void> monitor(std::string_view body) const;
  result<void> down(const frame_head& h, std::string_view body);

  const frame_rules& rules_;
  side side_;
  std::string peer_;
  bool established_ = false;
  bool held_back_ = false;
  int handshakes_ = 0;
  std::unordered_set<std::uint64_t> actors_;  ///< the peer's that CAF remembers
};

}  // namespace lp::actors
