// SPDX-License-Identifier: MIT
// How CAF writes the messages that every job consists of, without CAF's work of finding that out
// anew each time: the names of the types, and values made by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/message.h>

#include <caf/actor_control_block.hpp>
#include <caf/atom.hpp>
#include <caf/mailbox_element.hpp>

#include "actors/wire_body.hpp"

namespace caf {
class actor_system;
}

namespace lp::actors {

/// A message of an atom and a Protobuf body. On the wire it is, byte for byte, what CAF makes of
/// it: everything up to the body is always the same, and is taken from CAF once.
class message_form {
 public:
  /// Of `send(..., Atom, body<P>)`.
  template <class Atom, class P>
  static message_form of(caf::actor_system& system) {
    message_form out;
    out.what_ = Atom::value;
    out.body_ = P::descriptor();
    out.prefix_ = prefix_of(system, caf::make_message(Atom{}, body<P>{}));
    out.make_ = [](caf::strong_actor_ptr from, std::string_view bytes) {
      body<P> b;
      const auto size = static_cast<int>(bytes.size());
      if (!b.value.ParseFromArray(bytes.data(), size)) return caf::mailbox_element_ptr{};
      return caf::make_mailbox_element(std::move(from), caf::make_message_id(), {}, Atom{},
                                       std::move(b));
    };
    return out;
  }

  bool is(caf::atom_value what, const google::protobuf::Message& b) const {
    return what == what_ && b.GetDescriptor() == body_;
  }

  /// Bytes of the whole payload with a body of so many.
  std::size_t payload_size(std::size_t body_size) const;
  /// Appends the payload; `body_size` is b.ByteSizeLong().
  void write(std::vector<char>& out, const google::protobuf::Message& b,
             std::size_t body_size) const;

  /// The body's bytes of a payload of this form; nothing of any other.
  std::optional<std::string_view> body_of(std::string_view payload) const;
  /// The message, for an actor's mailbox; null if the body is none.
  caf::mailbox_element_ptr make(caf::strong_actor_ptr from, std::string_view body) const {
    return make_(std::move(from), body);
  }

 private:
  static std::string prefix_of(caf::actor_system& system, const caf::message& empty);

  caf::atom_value what_{};
  const google::protobuf::Descriptor* body_ = nullptr;
  std::string prefix_;  ///< up to the body's size
  caf::mailbox_element_ptr (*make_)(caf::strong_actor_ptr, std::string_view) = nullptr;
};

}  // namespace lp::actors
