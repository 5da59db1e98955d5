// SPDX-License-Identifier: MIT
// What loading takes and unloading gives back, as the system counts it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

#include <gtest/gtest.h>

#include "pipelines/description.hpp"
#include "tools/lp-bench/random_model.hpp"

namespace lp::testing {
namespace {

namespace fs = std::filesystem;

// Bytes of this process that are in memory (proc(5): statm's second number is pages).
std::uint64_t resident() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t whole = 0;
  std::uint64_t pages = 0;
  in >> whole >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// The embedded model with a UNet about twenty times as large, of random weights.
fs::path large_model() {
  const fs::path folder = fs::temp_directory_path() / ("lp_memory_" + std::to_string(::getpid()));
  fs::copy(LP_SOURCE_DIR "/examples/models/shapes-64", folder, fs::copy_options::recursive);
  const fs::path config = folder / "unet/config.json";
  std::stringstream text;
  text << std::ifstream(config).rdbuf();
  std::string json = text.str();
  const std::string channels = "[64,112]";
  json.replace(json.find(channels), channels.size(), "[256,512]");
  std::ofstream(config) << json;
  fs::remove(folder / "unet/diffusion_pytorch_model.safetensors");
  const auto written = bench::write_random_weights(folder, false);
  if (!written) throw std::runtime_error(render(written.error()));
  return folder;
}

TEST(memory, unloading_gives_it_back) {
  const fs::path folder = large_model();
  const std::uint64_t size = fs::file_size(folder / "unet/diffusion_pytorch_model.safetensors");
  const auto load = [&] {
    auto model = pipelines::find("text-to-image")->load(folder, {});
    if (!model) throw std::runtime_error(render(model.error()));
    return std::move(*model);
  };
  load();  // whatever is made once and kept
  const std::uint64_t before = resident();
  auto model = load();
  const std::uint64_t loaded = resident();
  EXPECT_GT(loaded, before + size / 3) << "weights in another order are copies";
  model.reset();
  EXPECT_LT(resident(), before + size / 10) << "of " << size << " bytes";
  fs::remove_all(folder);
}

TEST(memory, a_folder_loaded_twice_is_in_memory_once) {
  const fs::path folder = large_model();
  const std::uint64_t size = fs::file_size(folder / "unet/diffusion_pytorch_model.safetensors");
  const auto first = pipelines::find("text-to-image")->load(folder, {});
  ASSERT_TRUE(first) << render(first.error());
  const std::uint64_t once = resident();
  const auto second = pipelines::find("image-to-image")->load(folder, {});
  ASSERT_TRUE(second) << render(second.error());
  EXPECT_LT(resident(), once + size / 3) << "of " << size << " bytes";
  fs::remove_all(folder);
}

}  // namespace
}  // namespace lp::testing
