// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include "runtime/base/bytes.hpp"
#include "tools/vector-runner/fields.hpp"
#include "tools/vector-runner/kinds.hpp"

namespace lp::vectors {

void comparison::same(std::string_view what, const std::string& expected, const std::string& got) {
  ++compared_;
  if (problem_.empty() && expected != got) {
    problem_ = fmt::format("{}: expected {}, got {}", what, expected, got);
  }
}

void comparison::text(std::string_view what, const json::value* expected, const std::string& got) {
  if (expected == nullptr) return;
  if (expected->is_string()) return same(what, std::string(expected->get_string()), got);
  same(what, json::serialize(*expected), got);
}

void comparison::hex(std::string_view what, const json::value* expected,
                     const std::string& got_bytes) {
  if (expected == nullptr) return;
  if (!expected->is_string()) return failure(fmt::format("{}: expected a string", what));
  same(what, to_hex(bytes_of(expected->get_string(), what)), to_hex(got_bytes));
}

void comparison::flag(std::string_view what, const json::value* expected, bool got) {
  text(what, expected, got ? "true" : "false");
}

void comparison::failure(std::string why) {
  if (problem_.empty()) problem_ = std::move(why);
}

void comparison::todo(std::string why) {
  todo_ = std::move(why);
}

verdict comparison::result() const {
  if (!problem_.empty()) return {verdict::state::failed, problem_};
  if (!todo_.empty()) return {verdict::state::todo, todo_};
  if (compared_ == 0) return {verdict::state::failed, "says nothing of what should come out"};
  return {verdict::state::passed, fmt::format("{} values", compared_)};
}

}  // namespace lp::vectors
