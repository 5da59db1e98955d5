// SPDX-License-Identifier: MIT
#include "payments/price.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/core.h>

namespace lp::payments {

namespace {

using boost::multiprecision::cpp_int;

constexpr std::size_t most_digits = 80;
constexpr int most_exponent = 60;

std::optional<cpp_int> whole(std::string_view digits) {
  const bool plain =
      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!plain || digits.empty() || digits.size() > most_digits) return std::nullopt;
  // A leading zero would make it octal.
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
  return cpp_int(std::string(digits));
}

// "12.5e-3": digits, an optional fraction, an optional exponent of ten.
std::optional<rational> decimal(std::string_view text) {
  int exponent = 0;
  if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view tail = text.substr(e + 1);
    if (!tail.empty() && tail.front() == '+') tail.remove_prefix(1);
    const auto [end, bad] = std::from_chars(tail.data(), tail.data() + tail.size(), exponent);
    if (bad != std::errc{} || end != tail.data() + tail.size()) return std::nullopt;
    if (exponent > most_exponent || exponent < -most_exponent) return std::nullopt;
    text = text.substr(0, e);
  }
  std::string digits(text);
  if (const auto point = digits.find('.'); point != std::string::npos) {
    if (point + 1 == digits.size()) return std::nullopt;
    exponent -= static_cast<int>(digits.size() - point - 1);
    digits.erase(point, 1);
  }
  const auto value = whole(digits);
  if (!value) return std::nullopt;
  const cpp_int scale =
      boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(std::abs(exponent)));
  return exponent < 0 ? rational(*value, scale) : rational(*value * scale);
}

std::optional<rational> fraction(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return decimal(text);
  const auto above = whole(text.substr(0, slash));
  const auto below = whole(text.substr(slash + 1));
  if (!above || !below || *below == 0) return std::nullopt;
  return rational(*above, *below);
}

}  // namespace

result<price> parse_price(std::string_view text) {
  if (const auto value = fraction(text)) return price{*value};
  return fail(ec::bad_config,
              fmt::format("expected a price in wei such as \"4768371\", \"0.5\", \"1e-3\" or "
                          "\"3/2\", not \"{}\"",
                          text.substr(0, 100)));
}

std::string to_text(const price& p) {
  return p.wei_per_unit.str();
}

rational fee(const price& p, std::uint64_t units) {
  return p.wei_per_unit * units;
}

}  // namespace lp::payments
