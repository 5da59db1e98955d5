// SPDX-License-Identifier: MIT
// Random numbers that equal PyTorch's CPU generator, so that a seed means the same picture.
#pragma once

#include <cstdint>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

namespace lp::engine {

/// A CPU generator (Mersenne Twister) with that seed, as torch.Generator().manual_seed(seed).
at::Generator seeded_generator(std::uint64_t seed);

/// Standard normal numbers as torch.randn draws them on the CPU. For 16-bit floats it follows
/// torch 2.x whatever libtorch is linked: drawn in fp32, but with the last 16 numbers of a length
/// that 16 does not divide taken from the stream right behind the whole blocks.
at::Tensor seeded_randn(at::IntArrayRef shape, at::Generator& generator,
                        at::ScalarType dtype = at::ScalarType::Float);

}  // namespace lp::engine
