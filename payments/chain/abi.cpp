// SPDX-License-Identifier: MIT
#include "payments/chain/abi.hpp"

#include <algorithm>
#include <limits>

#include <fmt/core.h>

#include "payments/keccak.hpp"

namespace lp::payments::abi {

namespace {

constexpr std::size_t word_size = 32;

std::string word_of(const u256& number) {
  return to_bytes32(number).str();
}

}  // namespace

value::value(const u256& number) : encoded_(word_of(number)) {}
value::value(const address& a) : encoded_(std::string(12, '\0').append(a.view())) {}
value::value(const hash32& h) : encoded_(h.str()) {}

value value::of_bytes(std::string_view bytes) {
  std::string out = word_of(u256(bytes.size()));
  out.append(bytes);
  out.append((word_size - bytes.size() % word_size) % word_size, '\0');
  return {true, std::move(out)};
}

value value::of_tuple(const std::vector<value>& members) {
  const bool dynamic =
      std::any_of(members.begin(), members.end(), [](const value& m) { return m.dynamic(); });
  return {dynamic, encode(members)};
}

value value::of_array(const std::vector<value>& items) {
  return {true, word_of(u256(items.size())) + encode(items)};
}

std::string encode(const std::vector<value>& arguments) {
  std::size_t head_size = 0;
  for (const value& v : arguments) head_size += v.dynamic() ? word_size : v.encoded().size();
  std::string head, tail;
  for (const value& v : arguments) {
    if (v.dynamic()) {
      head += word_of(u256(head_size + tail.size()));
      tail += v.encoded();
    } else {
      head += v.encoded();
    }
  }
  return head + tail;
}

std::string selector(std::string_view signature) {
  return keccak256(signature).str().substr(0, 4);
}

std::string call(std::string_view signature, const std::vector<value>& arguments) {
  return selector(signature) + encode(arguments);
}

hash32 topic(std::string_view event_signature) {
  return keccak256(event_signature);
}

result<hash32> reader::word(std::size_t index) const {
  if (index < words()) return from_bytes<hash32>(data_.substr(index * word_size, word_size), what_);
  return fail(ec::bad_request,
              fmt::format("{}: the contract returned {} bytes, expected at least {} (is it another "
                          "contract?)",
                          what_, data_.size(), (index + 1) * word_size));
}

result<u256> reader::number(std::size_t index) const {
  const auto w = word(index);
  if (!w) return fail(w.error());
  return to_u256(*w);
}

result<std::uint64_t> reader::small_number(std::size_t index) const {
  const auto n = number(index);
  if (!n) return fail(n.error());
  if (*n <= (std::numeric_limits<std::uint64_t>::max)()) return static_cast<std::uint64_t>(*n);
  return fail(ec::bad_request, fmt::format("{}: expected a number below 2^64", what_));
}

result<address> reader::account(std::size_t index) const {
  const auto w = word(index);
  if (!w) return fail(w.error());
  return from_bytes<address>(w->view().substr(12), what_);
}

result<bool> reader::boolean(std::size_t index) const {
  const auto n = number(index);
  if (!n) return fail(n.error());
  return *n != 0;
}

result<std::string> reader::bytes(std::size_t index) const {
  const auto offset = small_number(index);
  if (!offset) return fail(offset.error());
  const auto wrong = fail(ec::bad_request, fmt::format("{}: malformed bytes", what_));
  if (*offset > data_.size() || *offset % word_size != 0) return wrong;
  const reader rest(data_.substr(*offset), what_);
  const auto length = rest.small_number(0);
  if (!length) return fail(length.error());
  if (*length > rest.data_.size() - word_size) return wrong;
  return std::string(rest.data_.substr(word_size, *length));
}

std::string revert_reason(std::string_view data) {
  static const std::string error_selector = selector("Error(string)");
  static const std::string panic_selector = selector("Panic(uint256)");
  if (data.starts_with(error_selector)) {
    auto text = reader(data.substr(4), "revert").bytes(0).value_or("");
    // A contract's words must not steer a terminal, nor fill it.
    text.resize((std::min)(text.size(), std::size_t{300}));
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < ' ' || c == '\x7f'; }, '?');
    return text;
  }
  if (data.starts_with(panic_selector)) {
    const auto code = reader(data.substr(4), "panic").number(0);
    if (code) return fmt::format("panic {}", to_text(*code));
  }
  return {};
}

}  // namespace lp::payments::abi
