// SPDX-License-Identifier: MIT
// Sources that make tensors up: random weights to train from, and names without memory.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "pipelines/engine/parameters.hpp"

namespace lp::engine {

using named_tensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Fresh weights from a seeded generator, in the order in which networks ask: norms 1, biases 0,
/// embedding tables N(0, 0.02), everything else uniform in +-1/sqrt(fan in) (PyTorch's default).
class random_parameters : public parameters {
 public:
  struct options {
    std::uint64_t seed = 0;
    at::ScalarType dtype = at::kFloat;
    bool requires_grad = true;  ///< leaves for an optimiser
    at::Device device = at::kCPU;
  };
  explicit random_parameters(const options& o);

  at::Tensor take(const std::string& name, at::IntArrayRef shape) override;
  bool has(const std::string&) const override { return false; }

  /// All tensors made so far, for the optimiser and for saving; they share memory with the network.
  const named_tensors& tensors() const { return tensors_; }

 private:
  options options_;
  at::Generator generator_;
  named_tensors tensors_;
};

/// Lists names and shapes. Its tensors are views of one zero: right in shape, without memory.
class recording_parameters : public parameters {
 public:
  at::Tensor take(const std::string& name, at::IntArrayRef shape) override;
  bool has(const std::string&) const override { return false; }

  const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& names() const {
    return names_;
  }

 private:
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> names_;
};

}  // namespace lp::engine
