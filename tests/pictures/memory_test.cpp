// SPDX-License-Identifier: MIT
// What loading takes and unloading gives back, as the system counts it.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <gtest/gtest.h>

#include "pipelines/description.hpp"
#include "pipelines/engine.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "tests/pictures/large_model.hpp"

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

TEST(memory, unloading_gives_it_back) {
  const fs::path folder = large_model();
  const std::uint64_t size = fs::file_size(folder / "unet/diffusion_pytorch_model.safetensors");
  const auto load = [&] {
    auto model = pipelines::find("text-to-image")->load(folder, {});
    if (!model) throw std::runtime_error(render(model.error()));
    drawn(**model, job(64, 1));  // its weights are all in order now
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
  drawn(**first, job(64, 1));
  const std::uint64_t once = resident();
  const auto second = pipelines::find("image-to-image")->load(folder, {});
  ASSERT_TRUE(second) << render(second.error());
  EXPECT_LT(resident(), once + size / 3) << "of " << size << " bytes";
  fs::remove_all(folder);
}

TEST(memory, two_models_with_one_unet_hold_it_once) {
  const fs::path folder = large_model();
  const std::string unet = "unet/diffusion_pytorch_model.safetensors";
  const std::uint64_t size = fs::file_size(folder / unet);
  const fs::path other = folder.string() + "_other";
  fs::copy(folder, other, fs::copy_options::recursive);
  fs::remove(other / unet);
  fs::create_hard_link(folder / unet, other / unet);
  std::ofstream(other / "lp_model.json") << "{}";
  const auto first = pipelines::find("text-to-image")->load(folder, {});
  ASSERT_TRUE(first) << render(first.error());
  drawn(**first, job(64, 1));  // its weights are all in order now
  const auto once = engine::tensor_memory().in_use;
  const auto second = pipelines::find("text-to-image")->load(other, {});
  ASSERT_TRUE(second) << render(second.error());
  EXPECT_NE(first->get(), second->get());
  drawn(**second, job(64, 1));
  EXPECT_LT(engine::tensor_memory().in_use, once + size / 3) << "of " << size << " bytes";
  fs::remove_all(folder);
  fs::remove_all(other);
}

TEST(memory, of_a_job_is_foreseen) {
  const auto find = pipelines::find("text-to-image");
  const auto shipped = find->load(LP_SOURCE_DIR "/examples/models/shapes-64", {});
  ASSERT_TRUE(shipped) << render(shipped.error());
  drawn(**shipped, job(64, 1));  // what is made once and kept
  for (const int pictures : {1, 16})
    expect_foreseen(**shipped, job(64, pictures), std::to_string(pictures) + " small pictures");
  const fs::path folder = large_model();
  fs::remove(folder / "lp_model.json");  // any size
  const auto large = find->load(folder, {});
  ASSERT_TRUE(large) << render(large.error());
  drawn(**large, job(64, 1, 1));
  expect_foreseen(**large, job(128, 2, 1), "two of 128");
  auto lean = job(320, 1, 1);
  expect_foreseen(**large, lean, "one of 320");
  lean.lean = true;
  expect_foreseen(**large, lean, "one of 320, lean");
  const auto two = (*large)->memory_for(job(320, 2));
  EXPECT_LT(two->lean_peak, two->peak);
  const auto of_320 = (*large)->memory_for(job(320, 1))->lean_peak;
  EXPECT_EQ((*large)->what_fits(job(640, 2), of_320), "320x320 pixels, 1 picture");
  EXPECT_EQ((*large)->what_fits(job(640, 2), 1000), "");
  fs::remove_all(folder);
}

TEST(memory, beyond_the_limit_fails_one_job_and_no_other) {
  const auto loaded =
      pipelines::find("text-to-image")->load(LP_SOURCE_DIR "/examples/models/shapes-64", {});
  ASSERT_TRUE(loaded) << render(loaded.error());
  auto& model = **loaded;
  const auto reference = drawn(model, job(64, 1));
  const auto limit = [](std::uint64_t more) {
    (*pipelines::get_engine())->limit_memory(more == 0 ? 0 : engine::tensor_memory().in_use + more);
  };
  auto run = model.start(job(64, 16));
  ASSERT_TRUE(run) << render(run.error());
  ASSERT_TRUE((*run)->step());
  limit(100 << 10);
  const auto failed = (*run)->step();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ec::out_of_memory) << render(failed.error());
  run->reset();
  limit(0);
  EXPECT_EQ(*drawn(model, job(64, 1)).files[0].data, *reference.files[0].data);
}

TEST(memory, a_copy_of_a_folder_costs_nothing_more) {
  const fs::path folder = large_model();
  const std::string unet = "unet/diffusion_pytorch_model.safetensors";
  const std::uint64_t size = fs::file_size(folder / unet);
  const fs::path other = folder.string() + "_copy";
  fs::copy(folder, other, fs::copy_options::recursive);
  const auto load = [](const fs::path& from) {
    auto model = pipelines::find("text-to-image")->load(from, {});
    if (!model) throw std::runtime_error(render(model.error()));
    drawn(**model, job(64, 1));  // its weights are all in order now
    return std::move(*model);
  };
  load(folder);  // whatever is made once and kept
  const std::uint64_t before = resident();
  const auto first = load(folder);
  const std::uint64_t once = resident() - before;
  EXPECT_GT(once, size / 2);
  const auto second = load(other);
  // Comparing has looked into both files, whose pages are the system's again.
  EXPECT_LT(resident() - before, once + size / 5) << "of " << size << " bytes";
  fs::remove_all(folder);
  fs::remove_all(other);
}

// With a text encoder and an autoencoder in memory only while they are used.
TEST(memory, low_memory_takes_less_and_draws_the_same) {
  const fs::path folder = large_model();
  std::uint64_t others = 0;
  for (const char* part :
       {"text_encoder/model.safetensors", "vae/diffusion_pytorch_model.safetensors"})
    others += fs::file_size(folder / part);
  std::uint64_t at_rest[2];
  std::string pictures[2];
  for (const bool low : {false, true}) {
    pipelines::device where;
    where.low_memory = low;
    const auto model = pipelines::find("text-to-image")->load(folder, where);
    ASSERT_TRUE(model) << render(model.error());
    pictures[low] =
        *drawn(**model, job(64, 1), [&] { at_rest[low] = engine::tensor_memory().in_use; })
             .files[0]
             .data;
  }
  // Its files are fp16 and were widened, so that they count twice.
  EXPECT_LT(at_rest[1] + others, at_rest[0]);
  EXPECT_EQ(pictures[0], pictures[1]);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace lp::testing
