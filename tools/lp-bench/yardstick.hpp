// SPDX-License-Identifier: MIT
// Fixed work to hold a measurement against, since a machine that others use has no speed of its
// own.
#pragma once

#include <string>

namespace lp::bench {

/// Seconds of a product of 2048 x 2048 matrices and of a 3x3 convolution of [2, 320, 64, 64] to 320
/// channels, both fp32, each the best of `rounds`.
struct yardstick {
  double product = 0;
  double convolution = 0;
  double sum() const { return product + convolution; }
};
yardstick take_yardstick(int rounds = 3);

/// "product 84 ms (204 GFLOP/s), convolution 70 ms (216 GFLOP/s)".
std::string to_string(const yardstick& y);

/// The best of two.
yardstick best_of(const yardstick& a, const yardstick& b);

}  // namespace lp::bench
