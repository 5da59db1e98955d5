// SPDX-License-Identifier: MIT
#include "tools/lp-bench/yardstick.hpp"

#include <algorithm>
#include <functional>

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "runtime/base/clock.hpp"

namespace lp::bench {

namespace {

constexpr double product_flop = 2.0 * 2048 * 2048 * 2048;
constexpr double convolution_flop = 2.0 * 2 * 320 * 64 * 64 * 320 * 9;

double best(int rounds, const std::function<void()>& work) {
  double seconds = 1e300;
  for (int i = 0; i < rounds + 1; ++i) {
    const auto start = clock::now();
    work();
    if (i > 0) seconds = std::min(seconds, to_ms(clock::now() - start) / 1000);
  }
  return seconds;
}

}  // namespace

yardstick take_yardstick(int rounds) {
  const c10::InferenceMode no_gradients;
  const auto a = at::randn({2048, 2048}), b = at::randn({2048, 2048});
  const auto x = at::randn({2, 320, 64, 64}), w = at::randn({320, 320, 3, 3});
  yardstick out;
  out.product = best(rounds, [&] { at::mm(a, b); });
  out.convolution = best(rounds, [&] { at::conv2d(x, w, {}, 1, 1); });
  return out;
}

std::string to_string(const yardstick& y) {
  return fmt::format("product {:.0f} ms ({:.0f} GFLOP/s), convolution {:.0f} ms ({:.0f} GFLOP/s)",
                     y.product * 1000, product_flop / y.product / 1e9, y.convolution * 1000,
                     convolution_flop / y.convolution / 1e9);
}

yardstick best_of(const yardstick& a, const yardstick& b) {
  return {std::min(a.product, b.product), std::min(a.convolution, b.convolution)};
}

}  // namespace lp::bench
