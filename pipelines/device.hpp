// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// What a worker computes on, as written in the configuration.
struct device {
  enum class kind { cpu, cuda };
  kind type = kind::cpu;
  int index = 0;    ///< CUDA ordinal; 0 for the CPU
  int threads = 0;  ///< CPU threads; 0 means all the machine has
  /// Parts of a model that a run needs only at its beginning and end, text encoders and
  /// autoencoder, leave memory in between.
  bool low_memory = false;

  /// "cpu", "cpu:2", "cuda:0": what parse_device() takes. Here, because both halves use it and the
  /// torch half does not link the other.
  std::string name() const {
    if (type == kind::cuda) return "cuda:" + std::to_string(index);
    return threads == 0 ? "cpu" : "cpu:" + std::to_string(threads);
  }
};

/// Accepts "cpu", "cpu:N" (N threads, 1..1024) and "cuda:N" (ordinal, 0..63); "cuda" is "cuda:0".
result<device> parse_device(std::string_view text);

}  // namespace lp::pipelines
