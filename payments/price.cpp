// SPDX-License-Identifier: MIT
#include "payments/price.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/core.h>

#include "runtime/base/bytes.hpp"

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

constexpr std::size_t shortest_currency = 2;
constexpr std::size_t longest_currency = 8;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// How much of "0.5eth" is its number. An "e" belongs to it where an exponent follows: "1e3eth".
std::size_t number_length(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && (is_digit(text[at]) || text[at] == '.' || text[at] == '/')) ++at;
  if (at == text.size() || (text[at] != 'e' && text[at] != 'E')) return at;
  std::size_t end = at + 1;
  if (end < text.size() && (text[end] == '+' || text[end] == '-')) ++end;
  if (end == text.size() || !is_digit(text[end])) return at;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end;
}

// What strangers wrote, fit to be repeated in a message.
std::string shown(std::string_view text) {
  constexpr std::size_t most = 60;
  std::size_t size = std::min(text.size(), most);
  // Not in the middle of a character.
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80)
    --size;
  std::string out(text.substr(0, size));
  const bool readable = is_utf8(out);
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !readable)) c = '?';
  }
  return out + (text.size() > out.size() ? "..." : "");
}

// The commonest mistakes.
std::string_view hint(std::string_view text) {
  if (text.starts_with('-')) return ", not negative";
  if (text.find_first_of(",_") != std::string_view::npos) {
    return ", with a decimal point and digits alone";
  }
  if (text.size() > most_digits) return ", of at most 80 digits";
  return "";
}

cpp_int round_up(const rational& r) {
  const cpp_int above = numerator(r);
  const cpp_int below = denominator(r);
  return (above + below - 1) / below;
}

}  // namespace

result<rational> parse_amount(std::string_view text) {
  if (auto value = fraction(text)) return *value;
  return fail(ec::bad_config, fmt::format("expected an amount such as \"4768371\", \"0.5\", "
                                          "\"1e-3\" or \"3/2\", not \"{}\"",
                                          shown(text)));
}

result<price> parse_price(std::string_view text) {
  if (const auto value = fraction(text)) return price{*value};
  return fail(ec::bad_config,
              fmt::format("expected a price in wei such as \"4768371\", \"0.5\", \"1e-3\" or "
                          "\"3/2\", not \"{}\"",
                          shown(text)));
}

result<money> parse_money(std::string_view text) {
  std::string_view rest = trimmed(text);
  const std::size_t length = number_length(rest);
  const auto amount = fraction(rest.substr(0, length));
  rest = trimmed(rest.substr(length));
  money out;
  if (!rest.empty()) out.currency.assign(rest);
  for (char& c : out.currency) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (out.currency == "ether") out.currency = "eth";
  const bool named = out.currency.size() >= shortest_currency &&
                     out.currency.size() <= longest_currency &&
                     std::all_of(out.currency.begin(), out.currency.end(),
                                 [](char c) { return c >= 'a' && c <= 'z'; });
  if (amount && named) {
    out.amount = *amount;
    return out;
  }
  return fail(ec::bad_config,
              fmt::format("expected an amount such as \"5000\" (wei), \"20 gwei\", \"0.5 eth\" or "
                          "\"0.02 usd\"{}, not \"{}\"",
                          hint(trimmed(text)), shown(text)));
}

std::string to_text(const price& p) {
  return p.wei_per_unit.str();
}

rational fee(const price& p, std::uint64_t units) {
  return p.wei_per_unit * units;
}

result<price_fraction> to_fraction(const price& p) {
  const cpp_int most = INT64_MAX;
  rational value = p.wei_per_unit;
  if (value < 0 || value > most) {
    return fail(ec::bad_config,
                fmt::format("a price of {} wei a unit is out of range", value.str()));
  }
  cpp_int scale = 1'000'000'000'000'000'000;
  while (numerator(value) > most || denominator(value) > most) {
    const cpp_int scaled = round_up(p.wei_per_unit * scale);
    if (scaled <= most) value = rational(scaled, scale);
    if (scaled > most) scale /= 10;
  }
  // Ten to the 18th was too coarse: as many units as a wei buys.
  if (p.wei_per_unit > 0 && p.wei_per_unit < rational(1, 1'000'000'000'000'000'000)) {
    const cpp_int units = denominator(p.wei_per_unit) / numerator(p.wei_per_unit);
    if (units > most) {
      return fail(ec::bad_config, fmt::format("a price of {} wei a unit is too small to be stated",
                                              p.wei_per_unit.str()));
    }
    value = rational(1, units);
  }
  return price_fraction{static_cast<std::int64_t>(numerator(value)),
                        static_cast<std::int64_t>(denominator(value))};
}

}  // namespace lp::payments
