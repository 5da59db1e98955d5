// SPDX-License-Identifier: MIT
#include "pipelines/engine/random_parameters.hpp"

#include <cmath>
#include <string_view>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

namespace lp::engine {

namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

at::Tensor initial(const std::string& name, at::IntArrayRef shape, at::Generator& generator) {
  const auto options = at::TensorOptions(at::kFloat);
  if (shape.size() <= 1)
    return contains(name, "norm") && name.ends_with("weight") ? at::ones(shape, options)
                                                              : at::zeros(shape, options);
  if (contains(name, "embeddings.") || contains(name, "class_embedding.weight"))
    return at::randn(shape, generator, options).mul_(0.02);
  const auto fan_in = static_cast<double>(c10::multiply_integers(shape.slice(1)));
  const auto bound = 1.0 / std::sqrt(fan_in);
  return at::empty(shape, options).uniform_(-bound, bound, generator);
}

}  // namespace

random_parameters::random_parameters(const options& o)
    : options_(o), generator_(at::make_generator<at::CPUGeneratorImpl>(o.seed)) {}

at::Tensor random_parameters::take(const std::string& name, at::IntArrayRef shape) {
  const c10::AutoGradMode no_grad(false);
  auto tensor = initial(name, shape, generator_).to(options_.device, options_.dtype);
  tensor.requires_grad_(options_.requires_grad);
  tensors_.emplace_back(name, tensor);
  return tensor;
}

at::Tensor recording_parameters::take(const std::string& name, at::IntArrayRef shape) {
  names_.emplace_back(name, shape.vec());
  return at::zeros({1}, at::kFloat).expand(shape);
}

}  // namespace lp::engine
