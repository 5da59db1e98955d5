// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/settings.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace lp::engine {

const boost::json::value* settings::find(std::string_view key) const {
  const auto* v = object_->if_contains(key);
  return v == nullptr || v->is_null() ? nullptr : v;
}

std::optional<double> settings::number(std::string_view key) {
  const auto* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (v->is_double()) return v->get_double();
  if (v->is_int64()) return static_cast<double>(v->get_int64());
  if (v->is_uint64()) return static_cast<double>(v->get_uint64());
  complain(fmt::format("{}: expected a number", key));
  return std::nullopt;
}

double settings::number(std::string_view key, double fallback) {
  return number(key).value_or(fallback);
}

int settings::integer(std::string_view key, int fallback, int lowest, int highest) {
  const auto* v = find(key);
  if (v == nullptr) return fallback;
  if (v->is_int64() && v->get_int64() >= lowest && v->get_int64() <= highest)
    return static_cast<int>(v->get_int64());
  complain(fmt::format("{}: expected an integer from {} to {}", key, lowest, highest));
  return fallback;
}

bool settings::flag(std::string_view key, bool fallback) {
  const auto* v = find(key);
  if (v == nullptr) return fallback;
  if (v->is_bool()) return v->get_bool();
  complain(fmt::format("{}: expected true or false", key));
  return fallback;
}

std::string settings::text(std::string_view key, std::string_view fallback,
                           std::initializer_list<std::string_view> choices) {
  const auto* v = find(key);
  if (v == nullptr) return std::string(fallback);
  if (v->is_string()) {
    const std::string_view given = v->get_string();
    if (std::find(choices.begin(), choices.end(), given) != choices.end())
      return std::string(given);
  }
  complain(fmt::format("{}: expected one of {}", key, fmt::join(choices, ", ")));
  return std::string(fallback);
}

std::vector<double> settings::numbers(std::string_view key) {
  const auto* v = find(key);
  if (v == nullptr) return {};
  std::vector<double> out;
  if (v->is_array()) {
    for (const auto& item : v->get_array()) {
      if (item.is_number()) out.push_back(item.to_number<double>());
    }
    if (out.size() == v->get_array().size()) return out;
  }
  complain(fmt::format("{}: expected a list of numbers", key));
  return {};
}

prediction settings::predicts() {
  const auto name = text("prediction_type", "epsilon", {"epsilon", "v_prediction", "sample"});
  if (name == "v_prediction") return prediction::v;
  return name == "sample" ? prediction::sample : prediction::epsilon;
}

result<void> settings::check() const {
  if (complaints_.empty()) return {};
  return fail(ec::bad_file, fmt::format("scheduler_config.json: {}", fmt::join(complaints_, "; ")));
}

}  // namespace lp::engine
