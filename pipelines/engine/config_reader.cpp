// SPDX-License-Identifier: MIT
#include "pipelines/engine/config_reader.hpp"

#include <cmath>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace lp::engine {

namespace {

bool is_integer(const boost::json::value& v, std::int64_t low, std::int64_t high) {
  return v.is_int64() && v.get_int64() >= low && v.get_int64() <= high;
}

std::string range(std::int64_t low, std::int64_t high) {
  return fmt::format("an integer from {} to {}", low, high);
}

}  // namespace

const boost::json::value* config_reader::find(std::string_view key) const {
  const auto* v = object_.if_contains(key);
  return v != nullptr && !v->is_null() ? v : nullptr;
}

void config_reader::reject(std::string_view key, std::string_view expected) {
  if (error_.empty()) error_ = fmt::format("{}: \"{}\" must be {}", what_, key, expected);
}

result<void> config_reader::check() const {
  if (!error_.empty()) return fail(ec::bad_file, error_);
  return {};
}

std::int64_t config_reader::integer(std::string_view key, std::int64_t fallback, std::int64_t low,
                                    std::int64_t high) {
  const auto* v = find(key);
  if (v == nullptr) return fallback;
  if (is_integer(*v, low, high)) return v->get_int64();
  reject(key, range(low, high));
  return fallback;
}

double config_reader::number(std::string_view key, double fallback) {
  const auto* v = find(key);
  if (v == nullptr) return fallback;
  if (v->is_number() && std::isfinite(v->to_number<double>())) return v->to_number<double>();
  reject(key, "a finite number");
  return fallback;
}

bool config_reader::boolean(std::string_view key, bool fallback) {
  const auto* v = find(key);
  if (v == nullptr) return fallback;
  if (v->is_bool()) return v->get_bool();
  reject(key, "true or false");
  return fallback;
}

std::string config_reader::text(std::string_view key, std::string_view fallback) {
  const auto* v = find(key);
  if (v == nullptr) return std::string(fallback);
  if (v->is_string()) return std::string(v->get_string());
  reject(key, "a string");
  return std::string(fallback);
}

std::vector<std::string> config_reader::texts(std::string_view key) {
  std::vector<std::string> all;
  const auto* v = find(key);
  if (v == nullptr) return all;
  if (!v->is_array()) {
    reject(key, "a list of strings");
    return all;
  }
  for (const auto& entry : v->get_array()) {
    if (!entry.is_string()) {
      reject(key, "a list of strings");
      return {};
    }
    all.emplace_back(entry.get_string());
  }
  return all;
}

std::vector<std::int64_t> config_reader::integers(std::string_view key, std::size_t count,
                                                  std::int64_t fallback, std::int64_t low,
                                                  std::int64_t high) {
  const auto* v = find(key);
  if (v == nullptr || !v->is_array())
    return std::vector<std::int64_t>(count, integer(key, fallback, low, high));
  std::vector<std::int64_t> all;
  for (const auto& entry : v->get_array()) {
    if (!is_integer(entry, low, high)) {
      reject(key, range(low, high) + " or a list of them");
      return std::vector<std::int64_t>(count, fallback);
    }
    all.push_back(entry.get_int64());
  }
  if (count != 0 && all.size() != count) {
    reject(key, fmt::format("a list of {} integers, one a block", count));
    return std::vector<std::int64_t>(count, fallback);
  }
  return all;
}

std::vector<bool> config_reader::booleans(std::string_view key, std::size_t count, bool fallback) {
  const auto* v = find(key);
  if (v == nullptr || !v->is_array()) return std::vector<bool>(count, boolean(key, fallback));
  std::vector<bool> all;
  for (const auto& entry : v->get_array()) {
    if (!entry.is_bool()) reject(key, "true or false or a list of them");
    all.push_back(entry.is_bool() && entry.get_bool());
  }
  if (all.size() != count) reject(key, fmt::format("a list of {}, one a block", count));
  all.resize(count, fallback);
  return all;
}

bool config_reader::is_unset(std::string_view key) const {
  const auto* v = find(key);
  return v == nullptr || (v->is_bool() && !v->get_bool()) ||
         (v->is_string() && v->get_string().empty());
}

bool config_reader::is_null(std::string_view key) const {
  const auto* v = object_.if_contains(key);
  return v != nullptr && v->is_null();
}

bool config_reader::is_list(std::string_view key) const {
  const auto* v = find(key);
  return v != nullptr && v->is_array();
}

void config_reader::must_be_unset(std::string_view key) {
  if (!is_unset(key)) reject(key, "absent: this feature is not supported");
}

}  // namespace lp::engine
