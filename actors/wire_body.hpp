// SPDX-License-Identifier: MIT
// A Protobuf message as the body of an actor message.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include <caf/meta/type_name.hpp>
#include <caf/sec.hpp>

namespace lp::actors {

/// Within a node the Protobuf object itself is handed over; between nodes CAF carries its bytes as
/// one std::string, the container that CAF copies as a block.
template <class P>
struct body {
  body() = default;
  body(P message) : value(std::move(message)) {}  // NOLINT: a body is its message

  P* operator->() { return &value; }
  const P* operator->() const { return &value; }

  P value;
};

template <class Inspector, class P>
typename Inspector::result_type inspect(Inspector& f, body<P>& x) {
  if constexpr (Inspector::writes_state) {
    std::string bytes;
    if (auto err = f(bytes)) return err;
    if (!x.value.ParseFromString(bytes)) return caf::sec::invalid_argument;
    return caf::none;
  } else if constexpr (std::is_void_v<typename Inspector::result_type>) {
    std::string text = x.value.GetTypeName();  // payloads have no place in a log line
    f(text);
  } else {
    std::string bytes = x.value.SerializeAsString();
    return f(bytes);
  }
}

}  // namespace lp::actors
