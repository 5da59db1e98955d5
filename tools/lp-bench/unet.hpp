// SPDX-License-Identifier: MIT
// `lp-bench unet`: how long one call of a UNet takes, and how much memory, with random weights.
#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace lp::bench {

struct unet_options {
  std::string config = "sd15";  ///< "sd15" for the built-in one, or a UNet's config.json
  std::string dtype = "fp32";   ///< "fp32", "bf16" or, on GPUs, "fp16"
  std::string device = "cpu";   ///< "cpu", or "cuda:0": then `threads` counts for nothing
  std::int64_t latent = 64;     ///< side of the latent; 64 is a picture of 512x512
  std::int64_t batch = 1;
  std::int64_t tokens = 77;
  int calls = 4;    ///< the first warms up and is not counted
  int threads = 0;  ///< 0: all the machine has
};

/// Declares the options on a subcommand; `options` outlives the parse.
void add_unet_options(CLI::App& command, unet_options& options);

/// Prints a line a call and the summary; the exit code.
int bench_unet(const unet_options& options);

}  // namespace lp::bench
