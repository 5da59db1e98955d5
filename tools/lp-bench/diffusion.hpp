// SPDX-License-Identifier: MIT
// `lp-bench diffusion`: how long a model's pictures take, alone and among others, with and without
// continuous batching.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lp::bench {

struct diffusion_options {
  std::string model;        ///< a model's folder or checkpoint file
  std::int64_t width = 64;  ///< pixels
  std::int64_t height = 64;
  int steps = 10;
  int images = 1;  ///< pictures of each job
  double guidance = 7.5;
  std::vector<int> jobs{1, 2, 4, 8};
  int threads = 0;             ///< 0: all the machine has
  std::string device = "cpu";  ///< "cpu" or "cuda:0"
};

void add_diffusion_options(CLI::App& command, diffusion_options& options);

/// Prints a line for each number of jobs; the exit code.
int bench_diffusion(const diffusion_options& options);

}  // namespace lp::bench
