// SPDX-License-Identifier: MIT
// How a number becomes a byte of a picture: the one definition, for the CPU's code and the GPU's.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define LP_HOST_DEVICE __host__ __device__
#else
#define LP_HOST_DEVICE
#endif

namespace lp::engine {

/// a * b, rounded by itself: not fused with an addition that follows. Host code that is compiled
/// for processors with such an instruction needs -ffp-contract=off.
LP_HOST_DEVICE inline float rounded_product(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

/// The byte of a value in [0, 1], what lies outside brought to the ends; halves go to the even
/// neighbour, not-a-number to 0.
LP_HOST_DEVICE inline std::uint8_t pixel_byte(float value) {
  const float kept = value > 0 ? (value < 1 ? value : 1.0F) : 0.0F;
  // Above 2^23 floats have no places behind the point, so that the addition rounds.
  constexpr float whole = 8388608.0F;
  return static_cast<std::uint8_t>(rounded_product(kept, 255.0F) + whole - whole);
}

/// The same of a number that an autoencoder gives, in [-1, 1].
LP_HOST_DEVICE inline std::uint8_t decoded_byte(float value) {
  return pixel_byte(value / 2 + 0.5F);
}

}  // namespace lp::engine
