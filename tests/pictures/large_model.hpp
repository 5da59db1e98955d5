// SPDX-License-Identifier: MIT
// A model large enough that its memory can be told from everything else, and how to measure it.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

#include "pipelines/description.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "tools/lp-bench/random_model.hpp"

namespace lp::testing {

// The embedded model with a UNet about twenty times as large, of random weights.
inline std::filesystem::path large_model() {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("lp_memory_" + std::to_string(::getpid()));
  std::filesystem::copy(LP_SOURCE_DIR "/examples/models/shapes-64", folder,
                        std::filesystem::copy_options::recursive);
  const std::filesystem::path config = folder / "unet/config.json";
  std::stringstream text;
  text << std::ifstream(config).rdbuf();
  std::string json = text.str();
  const std::string channels = "[64,112]";
  json.replace(json.find(channels), channels.size(), "[256,512]");
  std::ofstream(config) << json;
  std::filesystem::remove(folder / "unet/diffusion_pytorch_model.safetensors");
  const auto written = bench::write_random_weights(folder, false);
  if (!written) throw std::runtime_error(render(written.error()));
  return folder;
}

inline pipelines::job_input job(int side, int pictures, int steps = 2) {
  pipelines::job_input in;
  in.params = {{"prompt", "a red circle"},          {"width", side}, {"height", side},
               {"num_images_per_prompt", pictures}, {"seed", 5},     {"guidance_scale", 3.0},
               {"num_inference_steps", steps}};
  return in;
}

inline pipelines::output drawn(
    pipelines::model& model, const pipelines::job_input& in,
    const std::function<void()>& between = [] {}) {
  auto run = model.start(in);
  if (!run) throw std::runtime_error(render(run.error()));
  for (;;) {
    const auto at = (*run)->step();
    if (!at) throw std::runtime_error(render(at.error()));
    if (at->done == 1) between();
    if (at->done == at->total) break;
  }
  return (*run)->finish().value();
}

// Measured as libtorch asks for it. Foreseen must be no less, and no more than twice as much beside
// some megabytes. `held`: what is foreseen of it but was made by jobs before.
inline void expect_foreseen(pipelines::model& model, const pipelines::job_input& in,
                            const std::string& what, std::uint64_t held = 0) {
  const auto need = model.memory_for(in);
  ASSERT_TRUE(need) << render(need.error());
  const auto before = engine::tensor_memory().in_use;
  engine::reset_tensor_memory_peak();
  drawn(model, in);
  const auto measured = engine::tensor_memory().peak - before;
  const auto foreseen = (in.lean ? need->lean_peak : need->peak) - held;
  EXPECT_GE(foreseen, measured) << what;
  EXPECT_LE(foreseen, 2 * measured + (8U << 20)) << what;
}

}  // namespace lp::testing
