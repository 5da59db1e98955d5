// SPDX-License-Identifier: MIT
#include "actors/message_form.hpp"

#include <cstdint>

#include <caf/actor_system.hpp>
#include <caf/binary_serializer.hpp>

namespace lp::actors {

namespace {

// CAF's sizes: seven bits a byte, the lowest first; the last byte is below 128.
constexpr unsigned size_bits = 7;
constexpr unsigned more_follows = 0x80;

std::size_t size_length(std::size_t size) {
  std::size_t out = 1;
  while (size >>= size_bits) ++out;
  return out;
}

}  // namespace

// An empty body is its size alone, one byte.
std::string message_form::prefix_of(caf::actor_system& system, const caf::message& empty) {
  std::vector<char> bytes;
  caf::binary_serializer sink(system, bytes);
  std::vector<caf::strong_actor_ptr> passed_on;
  if (sink(passed_on, empty)) return {};
  return {bytes.begin(), bytes.end() - 1};
}

std::size_t message_form::payload_size(std::size_t body_size) const {
  return prefix_.size() + size_length(body_size) + body_size;
}

void message_form::write(std::vector<char>& out, const google::protobuf::Message& b,
                         std::size_t body_size) const {
  out.insert(out.end(), prefix_.begin(), prefix_.end());
  std::size_t left = body_size;
  for (; left >= more_follows; left >>= size_bits) {
    out.push_back(static_cast<char>(left % more_follows | more_follows));
  }
  out.push_back(static_cast<char>(left));
  const std::size_t at = out.size();
  out.resize(at + body_size);
  b.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out.data() + at));
}

std::optional<std::string_view> message_form::body_of(std::string_view payload) const {
  if (prefix_.empty() || !payload.starts_with(prefix_)) return std::nullopt;
  payload.remove_prefix(prefix_.size());
  std::size_t size = 0;
  for (unsigned shift = 0; !payload.empty() && shift < 32; shift += size_bits) {
    const auto byte = static_cast<std::uint8_t>(payload.front());
    payload.remove_prefix(1);
    size |= static_cast<std::size_t>(byte % more_follows) << shift;
    if (byte < more_follows) return size == payload.size() ? std::optional(payload) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace lp::actors
