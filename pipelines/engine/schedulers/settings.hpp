// SPDX-License-Identifier: MIT
// Typed reading of a scheduler_config.json with all complaints gathered.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "pipelines/engine/schedulers/scheduler.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// A view of the configuration; the object must outlive it. A missing or null member gives the
/// fallback, a wrong one is recorded and gives the fallback too: ask check() after reading.
class settings {
 public:
  explicit settings(const boost::json::object& object) : object_(&object) {}

  double number(std::string_view key, double fallback);
  std::optional<double> number(std::string_view key);
  int integer(std::string_view key, int fallback, int lowest, int highest);
  bool flag(std::string_view key, bool fallback);
  /// One of `choices`.
  std::string text(std::string_view key, std::string_view fallback,
                   std::initializer_list<std::string_view> choices);
  std::vector<double> numbers(std::string_view key);
  /// `prediction_type`: "epsilon", "v_prediction" or "sample".
  prediction predicts();

  /// Records that this value cannot be used.
  void complain(std::string text) { complaints_.push_back(std::move(text)); }

  /// ec::bad_file with every complaint.
  result<void> check() const;

 private:
  const boost::json::value* find(std::string_view key) const;

  const boost::json::object* object_;
  std::vector<std::string> complaints_;
};

}  // namespace lp::engine
