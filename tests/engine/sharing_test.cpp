// SPDX-License-Identifier: MIT
// Networks of equal content are in memory once, wherever their files lie; and weights that are
// converted while prompts are encoded come out as if they had been before.
#include <barrier>
#include <thread>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/convert_weights.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using pipeline = std::shared_ptr<const stable_diffusion>;

const std::string unet_file = "unet/diffusion_pytorch_model.safetensors";
const std::string vae_file = "vae/diffusion_pytorch_model.safetensors";

/// A copy of the small model whose weights are fp16, so that loading widens them into memory.
fs::path fp16_copy(const std::string& name) {
  const auto folder = copy_of_small_model(name);
  for (const auto& file : {unet_file, vae_file, std::string("text_encoder/model.safetensors")})
    EXPECT_TRUE(convert_weights(folder / file, folder / file, "fp16"));
  return folder;
}

pipeline loaded(const fs::path& folder, weight_precision precision = weight_precision::fp32) {
  stable_diffusion_options options;
  options.precision = precision;
  const auto out = stable_diffusion::load(folder, options);
  EXPECT_TRUE(out) << out.error().message;
  if (!out) return nullptr;
  (*out)->wait_until_packed();
  return *out;
}

std::unique_ptr<drawing> started(const pipeline& p) {
  drawing_request r;
  r.prompts = {"a red circle on a blue background"};
  r.seeds = {7};
  r.width = r.height = 64;
  r.steps = 2;
  return std::move(*stable_diffusion::start(p, r));
}

at::Tensor drawn(const pipeline& p) {
  const auto d = started(p);
  while (d->done() < d->total()) EXPECT_TRUE(d->step());
  return d->picture(0).value();
}

/// Networks are the same one where their drawings can be stepped in one call.
bool one_unet(const pipeline& a, const pipeline& b) {
  return started(a)->batch_key() == started(b)->batch_key();
}

/// Adds to the last number of one of a file's tensors.
void change(const fs::path& file, const std::string& which) {
  std::vector<std::pair<std::string, at::Tensor>> all;
  const auto tensors = open_tensors(file).value();
  for (const auto& [name, tensor] : tensors) {
    all.emplace_back(name, tensor.load()->clone());
    if (name == which) all.back().second.view(-1)[-1].add_(1);
  }
  ASSERT_TRUE(save_safetensors(file, all));
}

TEST(shared_networks, two_copies_of_a_folder_take_the_memory_of_one) {
  const auto a = fp16_copy("shared_a"), b = fp16_copy("shared_b");
  const auto before = tensor_memory().in_use;
  auto first = loaded(a);
  const auto one = tensor_memory().in_use - before;
  EXPECT_GT(one, first->bytes() / 2);
  auto second = loaded(b);
  EXPECT_LT(tensor_memory().in_use - before, one + one / 20);
  EXPECT_TRUE(one_unet(first, second));
  // Whoever comes first may go first, and nothing stays when both have gone.
  first.reset();
  EXPECT_TRUE(drawn(second).defined());
  second.reset();
  EXPECT_LT(tensor_memory().in_use, before + one / 20);
}

TEST(shared_networks, part_by_part) {
  const auto a = fp16_copy("parts_a"), b = fp16_copy("parts_b");
  change(b / vae_file, "decoder.conv_out.bias");
  const auto first = loaded(a), second = loaded(b);
  EXPECT_TRUE(one_unet(first, second));
  EXPECT_FALSE(at::equal(drawn(first), drawn(second)));
  const auto c = fp16_copy("parts_c");
  change(c / unet_file, "up_blocks.1.resnets.0.norm1.weight");
  EXPECT_FALSE(one_unet(first, loaded(c)));
}

TEST(shared_networks, only_with_files_that_are_still_what_was_loaded) {
  const auto a = fp16_copy("changed_a"), b = fp16_copy("changed_b");
  change(b / unet_file, "up_blocks.1.resnets.0.norm1.weight");
  const auto first = loaded(a);
  fs::copy(b / unet_file, a / unet_file, fs::copy_options::overwrite_existing);
  // The folders are equal now, but what is in memory is not.
  const auto second = loaded(b);
  EXPECT_FALSE(one_unet(first, second));
  EXPECT_TRUE(one_unet(second, loaded(a)));
}

TEST(shared_networks, of_another_configuration_or_precision_are_others) {
  const auto a = fp16_copy("config_a"), b = fp16_copy("config_b");
  const auto first = loaded(a);
  EXPECT_FALSE(one_unet(first, loaded(b, weight_precision::bf16)));
  // Only what the network is made by counts.
  replace_in(b / "unet" / "config.json", "0.40.0", "0.6.0");
  EXPECT_TRUE(one_unet(first, loaded(b)));
  replace_in(b / "unet" / "config.json", "1e-05", "1e-03");
  EXPECT_FALSE(one_unet(first, loaded(b)));
}

TEST(shared_networks, are_loaded_once_by_many_at_once) {
  constexpr int count = 4;
  std::vector<fs::path> folders;
  for (int i = 0; i < count; ++i) folders.push_back(fp16_copy("race_" + std::to_string(i)));
  for (int round = 0; round < 3; ++round) {
    const auto before = tensor_memory().in_use;
    std::vector<pipeline> all(count);
    {
      std::barrier together(count);
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] {
          together.arrive_and_wait();
          all[i] = loaded(folders[i]);
        });
    }
    for (const auto& p : all) {
      ASSERT_NE(p, nullptr);
      EXPECT_TRUE(one_unet(all[0], p));
    }
    EXPECT_LT(tensor_memory().in_use - before, all[0]->bytes() * 3 / 2);
  }
}

TEST(late_conversion, leaves_the_numbers_of_an_early_one) {
  const auto folder = copy_of_small_model("late");
  const auto converted = copy_of_small_model("early");
  ASSERT_TRUE(convert_weights(converted / unet_file, converted / unet_file, "bf16"));
  const auto late = loaded(folder, weight_precision::bf16);
  const auto early = loaded(converted, weight_precision::bf16);
  EXPECT_FALSE(one_unet(late, early));
  EXPECT_TRUE(at::equal(drawn(late), drawn(early)));
}

TEST(late_conversion, is_left_to_whoever_asked_for_it) {
  const auto values = at::linspace(-3, 3, 10);
  const auto stored = [&](const at::Tensor& t) {
    return stored_tensor{"F32", {10}, [t]() -> result<at::Tensor> { return t; }};
  };
  const auto source = checkpoint::of(
      {{"a", stored(values)}, {"b", stored(values.to(at::kBFloat16))}}, "test", at::kBFloat16);
  source->put_conversions_off();
  const auto a = source->take("a", {10}), b = source->take("b", {10});
  const auto rest = source->take_put_off();
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(a.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(b, values.to(at::kBFloat16)));
  rest[0].first.copy_(rest[0].second);
  EXPECT_TRUE(at::equal(a, b));
  EXPECT_TRUE(source->finish());
}

}  // namespace
}  // namespace lp::engine
