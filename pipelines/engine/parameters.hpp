// SPDX-License-Identifier: MIT
// Where a network takes its weights from. A network's constructor names every tensor it needs with
// its shape; who answers decides what that means: a checkpoint, random values for training, or a
// list for comparing names.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <ATen/core/Tensor.h>

namespace lp::engine {

class parameters {
 public:
  virtual ~parameters() = default;

  /// The tensor of that full name ("down_blocks.0.resnets.0.conv1.weight"). Implementations record
  /// a missing or wrongly shaped tensor and return a placeholder, so that all are reported at once.
  virtual at::Tensor take(const std::string& name, at::IntArrayRef shape) = 0;

  /// Whether the source knows the tensor; for parts that only some files have. Sources that make
  /// tensors up say no.
  virtual bool has(const std::string& name) const = 0;
};

/// A place in the tree of names. Cheap to copy; the parameters object outlives it.
class scope {
 public:
  explicit scope(parameters& source, std::string prefix = {})
      : source_(&source), prefix_(std::move(prefix)) {}

  /// The scope one level down: scope / "conv1" / "norm", scope / 3.
  scope operator/(std::string_view child) const {
    return scope(*source_,
                 prefix_.empty() ? std::string(child) : prefix_ + "." + std::string(child));
  }
  scope operator/(std::size_t child) const { return *this / std::to_string(child); }

  at::Tensor take(std::string_view name, at::IntArrayRef shape) const {
    return source_->take(full(name), shape);
  }
  bool has(std::string_view name) const { return source_->has(full(name)); }

  /// The place's own full name, without a dot at its end.
  const std::string& name() const { return prefix_; }

 private:
  std::string full(std::string_view name) const {
    return prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name);
  }

  parameters* source_;
  std::string prefix_;
};

}  // namespace lp::engine
