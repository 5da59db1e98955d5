// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/autocast_mode.h>

namespace lp::train {

/// While it lives, convolutions and matrix products on the CPU run in bf16; weights, gradients and
/// sums stay fp32. CPUs with AVX512-BF16 or AMX are up to twice as fast so.
class bf16_products {
 public:
  explicit bf16_products(bool on) : on_(on) {
    if (!on_) return;
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(true);
    at::autocast::set_autocast_cache_enabled(false);  // it would be shared between threads
    at::autocast::increment_nesting();
  }
  bf16_products(const bf16_products&) = delete;
  bf16_products& operator=(const bf16_products&) = delete;
  ~bf16_products() {
    if (!on_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_cpu_enabled(false);
  }

 private:
  bool on_;
};

}  // namespace lp::train
