// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include "pipelines/engine/parameters.hpp"

namespace lp::engine {

/// Random values for every tensor that a network asks for, norms and biases too; kept by name.
class random_tensors : public parameters {
 public:
  explicit random_tensors(std::uint64_t seed)
      : generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

  at::Tensor take(const std::string& name, at::IntArrayRef shape) override {
    return made[name] = at::randn(shape, generator_, at::kFloat) * 0.3;
  }
  bool has(const std::string& /*name*/) const override { return false; }

  std::map<std::string, at::Tensor> made;

 private:
  at::Generator generator_;
};

}  // namespace lp::engine
