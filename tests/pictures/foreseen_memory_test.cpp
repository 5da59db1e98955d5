// SPDX-License-Identifier: MIT
// What is foreseen of models with low-rank additions and of diffusion transformers, against what
// they take.
#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/dit.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/engine/unet.hpp"
#include "tests/pictures/large_model.hpp"

namespace lp::testing {
namespace {

namespace fs = std::filesystem;

// Additions to every layer of a UNet, or to its linear ones alone; the bytes they take as fp32.
std::uint64_t write_lora(const fs::path& model, const std::string& name, std::int64_t rank,
                         bool convolutions) {
  auto unet = engine::load_unet(model / "unet", at::kFloat, at::kCPU, nullptr, false).value();
  std::vector<std::pair<std::string, at::Tensor>> out;
  std::uint64_t bytes = 0;
  const auto add = [&](const std::string& layer, at::Tensor down, at::Tensor up) {
    bytes += static_cast<std::uint64_t>(down.numel() + up.numel()) * sizeof(float);
    out.emplace_back("unet." + layer + ".lora.down.weight", down.to(at::kHalf));
    out.emplace_back("unet." + layer + ".lora.up.weight", up.to(at::kHalf));
  };
  unet->visit({[&](engine::nn::linear& l) {
                 const auto& w = l.weight;
                 if (w.dim() == 2)
                   add(l.name, at::randn({rank, w.size(1)}) / 100, at::randn({w.size(0), rank}));
               },
               [&](engine::nn::conv2d& c) {
                 const auto& w = c.weight;
                 // Names without a dot are no layer's in these files.
                 if (convolutions && c.name.find('.') != std::string::npos)
                   add(c.name, at::randn({rank, w.size(1), w.size(2), w.size(3)}) / 100,
                       at::randn({w.size(0), rank, 1, 1}));
               }});
  fs::create_directories(model / "loras");
  EXPECT_TRUE(engine::save_safetensors(model / "loras" / (name + ".safetensors"), out));
  return bytes;
}

TEST(foreseen_memory, of_additions_counts_their_numbers_and_what_they_compute) {
  const fs::path folder = large_model();
  fs::remove(folder / "lp_model.json");  // any size
  const auto wide = write_lora(folder, "wide", 128, false);
  const auto all = write_lora(folder, "all", 32, true);
  ASSERT_GT(wide, std::uint64_t{16} << 20);
  ASSERT_GT(all, std::uint64_t{8} << 20);
  const auto model = pipelines::find("text-to-image")->load(folder, {});
  ASSERT_TRUE(model) << render(model.error());
  drawn(**model, job(64, 1, 1));
  const auto plain = (*model)->memory_for(job(64, 1))->peak;
  const auto with = [](const std::string& loras, int side, int pictures) {
    auto in = job(side, pictures, 1);
    in.params["loras"] = loras;
    return in;
  };
  const auto kept = [&] { return (*model)->memory_for(job(64, 1))->peak - plain; };
  // The first time the additions are made, which is part of the peak.
  const auto asked = with(R"({"wide": 0.5})", 64, 1);
  EXPECT_GE((*model)->memory_for(asked)->peak, plain + wide);
  expect_foreseen(**model, asked, "new additions");
  EXPECT_EQ(kept(), wide);
  const auto of_all = with(R"({"all": 1})", 128, 1);
  expect_foreseen(**model, of_all, "new additions to convolutions", kept());
  EXPECT_EQ(kept(), wide + all);
  expect_foreseen(**model, of_all, "kept additions to convolutions", kept());
  EXPECT_EQ((*model)->memory_for(with(R"({"gone": 1})", 64, 1)).error().code,
            ec::invalid_parameters);
  fs::remove_all(folder);
}

TEST(foreseen_memory, of_a_models_own_additions_is_among_its_weights) {
  const fs::path folder = large_model();
  const auto bytes = write_lora(folder, "own", 256, false);
  const auto load = [&] {
    auto model = pipelines::find("text-to-image")->load(folder, {});
    if (!model) throw std::runtime_error(render(model.error()));
    return std::move(*model);
  };
  const auto without = load();
  std::ofstream(folder / "lp_model.json") << R"({"loras": {"own": 0.7}})";
  const auto before = engine::tensor_memory().in_use;
  const auto with = load();
  EXPECT_EQ(with->bytes(), without->bytes() + bytes);
  EXPECT_GT(engine::tensor_memory().in_use, before + bytes / 2) << "they are made at the load";
  EXPECT_EQ(with->memory_for(job(64, 1))->weights, with->bytes());
  EXPECT_EQ(with->memory_for(job(64, 1))->peak, without->memory_for(job(64, 1))->peak);
  fs::remove_all(folder);
}

// A transformer of random weights that draws classes.
fs::path random_dit(std::int64_t side, std::int64_t width, std::int64_t heads) {
  const fs::path folder = fs::temp_directory_path() / ("lp_dit_" + std::to_string(::getpid()));
  fs::remove_all(folder);
  fs::create_directories(folder / "transformer");
  fs::create_directories(folder / "scheduler");
  engine::dit_config c;
  c.classes = 3;
  c.channels = 3;
  c.patch = 4;
  c.side = side;
  c.width = width;
  c.inner = width * heads;
  c.hidden = 4 * width;
  c.blocks = 2;
  engine::random_parameters source({1, at::kFloat, false, at::Device(at::kCPU)});
  const engine::dit network(c, engine::scope(source));
  EXPECT_TRUE(
      engine::save_safetensors(folder / "transformer" / "model.safetensors", source.tensors()));
  std::ofstream(folder / "model_index.json") << R"({"_class_name": "DiTPipeline"})";
  std::ofstream(folder / "scheduler" / "scheduler_config.json")
      << R"({"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"})";
  return folder;
}

TEST(foreseen_memory, of_transformers_follows_pictures_tokens_and_heads) {
  for (const auto& [side, width, heads] : {std::tuple{16, 64, 4}, {8, 256, 1}}) {
    const fs::path folder = random_dit(side, width, heads);
    const auto model = pipelines::find("text-to-image")->load(folder, {});
    ASSERT_TRUE(model) << render(model.error());
    const auto asked = [](int size, int pictures) {
      auto in = job(size, pictures, 1);
      in.params["prompt"] = "1";
      return in;
    };
    drawn(**model, asked(64, 1));
    const auto what = std::to_string(side) + " patches a side, width " + std::to_string(width) +
                      ", heads " + std::to_string(heads);
    for (auto in : {asked(64, 4), asked(64, 12), asked(1024, 1)}) {
      expect_foreseen(**model, in, what);
      in.lean = true;
      expect_foreseen(**model, in, what + ", lean");
    }
    const auto many = (*model)->memory_for(asked(64, 12));
    EXPECT_EQ(many->weights, (*model)->bytes());
    EXPECT_LT(many->lean_peak, many->peak / 4);
    EXPECT_EQ((*model)->what_fits(asked(64, 12), many->lean_peak), "12 pictures");
    EXPECT_EQ((*model)->what_fits(asked(64, 12), 1000), "");
    fs::remove_all(folder);
  }
}

TEST(foreseen_memory, lean_transformers_draw_about_the_same) {
  const fs::path folder = random_dit(8, 32, 2);
  const auto model = pipelines::find("text-to-image")->load(folder, {});
  ASSERT_TRUE(model) << render(model.error());
  auto in = job(64, 3);
  in.params["prompt"] = "2";
  const auto usual = drawn(**model, in);
  in.lean = true;
  const auto lean = drawn(**model, in);
  ASSERT_EQ(lean.files.size(), 3U);
  EXPECT_NE(*lean.files[0].data, *lean.files[1].data);
  EXPECT_EQ(*usual.files[2].data, *lean.files[2].data);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace lp::testing
