// SPDX-License-Identifier: MIT
// `lp-bench load`: how long a model takes to load, against reading the same bytes.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace lp::bench {

struct load_options {
  std::string model;           ///< a Diffusers folder
  std::string dtype = "fp32";  ///< "fp32" or "bf16"
  int rounds = 5;              ///< the best one counts
  bool random = false;         ///< with weights, in a temporary folder, where there are none
  bool cold = false;           ///< from the disk instead of the page cache
};

void add_load_options(CLI::App& command, load_options& options);

/// Prints bandwidths; the exit code.
int bench_load(const load_options& options);

}  // namespace lp::bench
