// SPDX-License-Identifier: MIT
// Whether finished pictures may be offensive: asked of a classifier that an operator plugs in, or
// of the safety checker that a model brings.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <boost/json/object.hpp>

#include "pipelines/model.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// A model's own safety checker; or a shared library of the operator's choice, built against this
/// header, with `extern "C" lp::pipelines::safety_classifier* lp_safety_classifier()`, which is
/// used by one thread.
class safety_classifier {
 public:
  virtual ~safety_classifier() = default;

  /// For log lines and answers.
  virtual std::string name() const = 0;

  /// Whether the picture may be offensive. An error fails the job: a picture that could not be
  /// looked at is not called harmless.
  virtual result<bool> offensive(const picture& p) = 0;

  /// Memory that it holds once it has looked at a picture.
  virtual std::uint64_t bytes() const { return 0; }
};

/// A folder's safety checker (engine::open_safety_checker()), its own or the one in
/// "safety_checker" in it; or the one classifier of a library, which lives to the process's end.
/// ec::bad_config with the dynamic loader's words if it is none.
result<std::shared_ptr<safety_classifier>> open_classifier(const std::filesystem::path& what);

/// Whether a request asks for the check.
bool asks_for_check(const boost::json::object& params);

/// Looks at every picture of a result and flags those that may be offensive.
result<void> check_safety(safety_classifier& classifier, output& out);

}  // namespace lp::pipelines
