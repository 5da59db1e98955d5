// SPDX-License-Identifier: MIT
#include "pipelines/device.hpp"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace lp::pipelines {

namespace {

constexpr int most_threads = 1024;
constexpr int last_ordinal = 63;

// A plain decimal number in first..last; nothing else, not even a sign.
std::optional<int> parse_number(std::string_view text, int first, int last) {
  if (text.empty() || text.front() == '-') return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value < first || value > last) return std::nullopt;
  return value;
}

}  // namespace

result<device> parse_device(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view type = text.substr(0, colon);
  const bool bare = colon == std::string_view::npos;
  const std::string_view number = bare ? std::string_view{} : text.substr(colon + 1);
  if (type == "cpu") {
    if (bare) return device{};
    if (const auto threads = parse_number(number, 1, most_threads)) {
      return device{device::kind::cpu, 0, *threads};
    }
  }
  if (type == "cuda") {
    if (bare) return device{device::kind::cuda, 0, 0};
    if (const auto index = parse_number(number, 0, last_ordinal)) {
      return device{device::kind::cuda, *index, 0};
    }
  }
  return fail(ec::bad_config,
              fmt::format("device \"{}\": expected \"cpu\", \"cpu:N\" with 1 to {} threads, or "
                          "\"cuda:N\" with N from 0 to {}",
                          text, most_threads, last_ordinal));
}

}  // namespace lp::pipelines
