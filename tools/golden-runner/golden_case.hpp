// SPDX-License-Identifier: MIT
// One entry of a manifest.json: what to compute, from what, and how near it must come.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>
#include <boost/json/object.hpp>

#include "runtime/base/error.hpp"

namespace lp::goldens {

using tensors = std::map<std::string, at::Tensor>;

/// A recorded result. Floating values pass within atol + rtol * |value|, integers if equal.
struct expectation {
  at::Tensor value;
  double atol = 0;
  double rtol = 0;
};

class golden_case {
 public:
  /// Reads the tensors of an entry; its paths are relative to `root`. ec::bad_file says what is
  /// missing or malformed.
  static result<golden_case> open(const std::filesystem::path& root,
                                  const boost::json::object& entry);

  const boost::json::object& params() const { return params_; }
  const tensors& inputs() const { return inputs_; }
  const std::map<std::string, expectation>& expected() const { return expected_; }

  /// The input of that name, undefined if the case has none.
  at::Tensor input(const std::string& name) const;

  /// A string of the parameters, or "" without one.
  std::string text(std::string_view key) const;
  std::int64_t integer(std::string_view key, std::int64_t fallback) const;
  double number(std::string_view key, double fallback) const;
  /// A string, or a list of them; empty without either.
  std::vector<std::string> texts(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;

  /// The folder of the model, the configuration that replaces its scheduler's, and so on: a path
  /// that the entry or its parameters name. Empty without one.
  std::filesystem::path path(std::string_view key) const;

  /// The folder that holds the recorded results.
  const std::filesystem::path& folder() const { return folder_; }

  /// "_class_name" of a JSON file, or the first of its "architectures"; ec::bad_file if it has
  /// neither.
  static result<std::string> class_name(const std::filesystem::path& config);

 private:
  result<void> read_expected(const boost::json::object& specs, const std::filesystem::path& file);

  std::filesystem::path root_;
  std::filesystem::path folder_;
  boost::json::object entry_;
  boost::json::object params_;
  tensors inputs_;
  std::map<std::string, expectation> expected_;
};

}  // namespace lp::goldens
