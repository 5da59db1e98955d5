// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <future>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace lp::train {

/// A batch is computed in this many parts whose gradients add up. It is fixed, so that a recipe
/// gives the same weights on one core and on two.
inline constexpr int batch_parts = 2;

/// Calls `loss(part)` for all parts and runs each backwards; returns the sum of the losses. On the
/// CPU every part has a thread of its own and no threads within: these networks are so small that
/// two threads in step with each other are several times slower than two that meet once an
/// iteration, the more so on a busy machine. Autograd locks each gradient while it adds to it, and
/// a sum of two does not depend on their order.
inline double backward_in_parts(bool threads, const std::function<at::Tensor(int part)>& loss) {
  const auto run = [&](int part) {
    at::set_num_threads(1);
    const auto value = loss(part) / batch_parts;
    value.backward();
    return value.item<double>();
  };
  std::vector<std::future<double>> others;
  const auto how = threads ? std::launch::async : std::launch::deferred;
  for (int part = 1; part < batch_parts; ++part) others.push_back(std::async(how, run, part));
  double sum = run(0);
  for (auto& other : others) sum += other.get();
  return sum;
}

}  // namespace lp::train
