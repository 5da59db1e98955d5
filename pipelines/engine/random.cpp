// SPDX-License-Identifier: MIT
#include "pipelines/engine/random.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>

namespace lp::engine {

at::Generator seeded_generator(std::uint64_t seed) {
  return at::make_generator<at::CPUGeneratorImpl>(seed);
}

at::Tensor seeded_randn(at::IntArrayRef shape, at::Generator& generator, at::ScalarType dtype) {
  constexpr std::int64_t block = 16;
  if (dtype != at::kHalf && dtype != at::kBFloat16) {
    return at::randn(shape, generator, at::TensorOptions().dtype(dtype));
  }
  const std::int64_t count = c10::multiply_integers(shape);
  if (count < block || count % block == 0) {
    return at::randn(shape, generator, at::TensorOptions().dtype(at::kFloat)).to(dtype);
  }
  const auto blocks = at::randn({count / block * block}, generator, at::kFloat);
  const auto last = at::randn({block}, generator, at::kFloat);
  return at::cat({blocks.slice(0, 0, count - block), last}).reshape(shape).to(dtype);
}

}  // namespace lp::engine
