// SPDX-License-Identifier: MIT
#include "runtime/config_reader.hpp"

#include <charconv>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace lp::runtime {

namespace {

// "90s" -> 90 and "s"; nothing if it does not begin with a whole number.
std::optional<std::pair<std::uint64_t, std::string>> split_unit(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (bad != std::errc{}) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  return std::make_pair(value, unit);
}

template <std::size_t N>
std::optional<std::uint64_t> scaled(const std::string& text,
                                    const std::pair<const char*, std::uint64_t> (&units)[N]) {
  const auto parts = split_unit(text);
  if (!parts) return std::nullopt;
  for (const auto& [name, factor] : units) {
    if (parts->second == name && parts->first <= UINT64_MAX / factor) return parts->first * factor;
  }
  return std::nullopt;
}

}  // namespace

const toml::node* table_reader::take(const std::string& key) {
  known_.insert(key);
  return table_.get(key);
}

void table_reader::mistake(const std::string& key, const std::string& what) {
  if (error_) return;
  const toml::node* node = table_.get(key);
  const auto line = (node != nullptr ? node->source() : table_.source()).begin.line;
  error_ =
      error{ec::bad_config, fmt::format("{}:{}: {} {}: {}", file_, line, path_, key, what), {}};
}

key_places table_reader::places() const {
  key_places out;
  out.line = fmt::format("{}:{}", file_, table_.source().begin.line);
  out.table = fmt::format("{}: {}", out.line, path_);
  for (const auto& [key, node] : table_) {
    out.keys[std::string(key.str())] =
        fmt::format("{}:{}: {} {}", file_, node.source().begin.line, path_, key.str());
  }
  return out;
}

std::string key_places::of(const std::string& key) const {
  const auto it = keys.find(key);
  return it == keys.end() ? fmt::format("{} {}", table, key) : it->second;
}

std::string table_reader::text(const std::string& key, std::string fallback) {
  const toml::node* node = take(key);
  if (node == nullptr) return fallback;
  if (const auto value = node->value_exact<std::string>()) return *value;
  mistake(key, "expected a text in quotes");
  return fallback;
}

bool table_reader::flag(const std::string& key, bool fallback) {
  const toml::node* node = take(key);
  if (node == nullptr) return fallback;
  if (const auto value = node->value_exact<bool>()) return *value;
  mistake(key, "expected true or false");
  return fallback;
}

std::string table_reader::required_text(const std::string& key) {
  if (take(key) == nullptr) mistake(key, "is missing");
  std::string value = text(key, {});
  if (value.empty()) mistake(key, "must not be empty");
  return value;
}

std::string table_reader::filled_text(const std::string& key, std::string fallback) {
  std::string value = text(key, std::move(fallback));
  if (value.empty()) mistake(key, "must not be empty");
  return value;
}

std::vector<std::string> table_reader::texts(const std::string& key) {
  const toml::node* node = take(key);
  std::vector<std::string> out;
  if (node == nullptr) return out;
  const toml::array* all = node->as_array();
  for (std::size_t i = 0; all != nullptr && i < all->size(); ++i) {
    if (const auto value = (*all)[i].value_exact<std::string>()) out.push_back(*value);
  }
  if (all == nullptr || out.size() != all->size()) mistake(key, "expected a list of texts");
  return out;
}

std::uint64_t table_reader::whole(const std::string& key, std::uint64_t fallback,
                                  std::uint64_t least, std::uint64_t most) {
  const toml::node* node = take(key);
  if (node == nullptr) return fallback;
  const auto value = node->value_exact<std::int64_t>();
  if (!value || *value < 0 || static_cast<std::uint64_t>(*value) < least ||
      static_cast<std::uint64_t>(*value) > most) {
    mistake(key, fmt::format("expected a whole number from {} to {}", least, most));
    return fallback;
  }
  return static_cast<std::uint64_t>(*value);
}

milliseconds table_reader::time(const std::string& key, milliseconds fallback) {
  static constexpr std::pair<const char*, std::uint64_t> units[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  constexpr std::uint64_t longest = 30ULL * 24 * 3'600'000;
  if (take(key) == nullptr) return fallback;
  const auto value = scaled(text(key, {}), units);
  if (!value || *value == 0 || *value > longest) {
    mistake(key, "expected a time such as \"250ms\", \"90s\", \"5m\" or \"1h\"");
    return fallback;
  }
  return milliseconds(*value);
}

std::uint64_t table_reader::bytes(const std::string& key, std::uint64_t fallback) {
  static constexpr std::pair<const char*, std::uint64_t> units[] = {
      {"B", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}};
  const toml::node* node = take(key);
  if (node == nullptr) return fallback;
  if (const auto plain = node->value_exact<std::int64_t>(); plain && *plain > 0) {
    return static_cast<std::uint64_t>(*plain);
  }
  const auto value = scaled(node->value_or(std::string{}), units);
  if (!value || *value == 0) {
    mistake(key, "expected a size such as \"512 MiB\" or \"8 GiB\"");
    return fallback;
  }
  return *value;
}

std::string table_reader::number_text(const std::string& key, std::string fallback) {
  const toml::node* node = take(key);
  if (node == nullptr) return fallback;
  if (const auto text = node->value_exact<std::string>()) return *text;
  if (const auto whole = node->value_exact<std::int64_t>()) return std::to_string(*whole);
  // The shortest digits that mean this double are those that were written.
  if (const auto real = node->value_exact<double>()) return fmt::format("{}", *real);
  mistake(key, "expected a number, or an amount in quotes");
  return fallback;
}

const toml::table* table_reader::table(const std::string& key) {
  const toml::node* node = take(key);
  if (node != nullptr && node->as_table() == nullptr) mistake(key, "expected a table");
  return node == nullptr ? nullptr : node->as_table();
}

std::vector<const toml::table*> table_reader::tables(const std::string& key) {
  std::vector<const toml::table*> out;
  const toml::node* node = take(key);
  if (node == nullptr) return out;
  const toml::array* all = node->as_array();
  for (std::size_t i = 0; all != nullptr && i < all->size(); ++i) {
    if (const toml::table* t = (*all)[i].as_table()) out.push_back(t);
  }
  if (all == nullptr || out.size() != all->size()) {
    mistake(key, fmt::format("expected tables, each begun by [[{}]]", key));
  }
  return out;
}

result<void> table_reader::finish() {
  for (const auto& [key, node] : table_) {
    if (known_.count(std::string(key.str())) > 0) continue;
    mistake(std::string(key.str()), fmt::format("unknown key; known: {}", fmt::join(known_, ", ")));
  }
  if (error_) return fail(*error_);
  return {};
}

}  // namespace lp::runtime
