// SPDX-License-Identifier: MIT
// Low-rank additions: what the layouts mean, and that they equal weights changed by hand.
#include "pipelines/engine/lora.hpp"

#include <algorithm>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <boost/json/object.hpp>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/convert_weights.hpp"
#include "pipelines/engine/image_model.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "pipelines/engine/unet.hpp"
#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using named = std::vector<std::pair<std::string, at::Tensor>>;

fs::path saved(const std::string& name, const named& tensors) {
  const auto folder = fs::path(::testing::TempDir()) / "lp_loras";
  fs::create_directories(folder);
  const auto path = folder / (name + ".safetensors");
  EXPECT_TRUE(save_safetensors(path, tensors));
  return path;
}

std::shared_ptr<const lora_file> opened(const fs::path& path) {
  auto file = lora_file::open(path);
  EXPECT_TRUE(file) << file.error().message;
  return *file;
}

const std::string layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";

unet small_unet() {
  return std::move(**load_unet(small_model() / "unet", at::kFloat));
}

/// The output of a call after `change` had its way with a copy of the network.
template <class Change>
at::Tensor after(const unet& base, Change change) {
  const c10::InferenceMode no_gradients;
  unet copy = base;
  change(copy);
  unet_input in;
  in.sample = at::linspace(-1, 1, 4 * 8 * 8).reshape({1, 4, 8, 8});
  in.timestep = at::full({1}, 500.0);
  in.encoder_hidden_states =
      at::linspace(-1, 1, 7 * base.config().levels[0].cross_attention_dim).reshape({1, 7, -1});
  return copy(in);
}

std::int64_t width_of(unet& net) {
  std::int64_t width = 0;
  net.visit({[&](nn::linear& l) {
               if (l.name == layer) width = l.weight.size(0);
             },
             [](nn::conv2d&) {}});
  return width;
}

class lora_test : public ::testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    const auto width = width_of(base);
    ASSERT_GT(width, 0);
    down = at::randn({2, width});
    up = at::randn({width, 2});
    none = after(base, [](unet&) {});
  }

  at::Tensor with(const lora_file& file, double strength) {
    return after(base, [&](unet& net) {
      std::vector<std::string> unmatched;
      EXPECT_TRUE(add_lora(net, file, strength, unmatched));
      EXPECT_THAT(unmatched, IsEmpty());
    });
  }

  unet base = small_unet();
  at::Tensor down, up, none;
};

TEST_F(lora_test, equals_weights_changed_by_hand_and_leaves_the_base_alone) {
  const auto file = opened(saved("plain", {{"unet." + layer + ".lora.down.weight", down},
                                           {"unet." + layer + ".lora.up.weight", up}}));
  const auto by_hand = after(base, [&](unet& net) {
    net.visit({[&](nn::linear& l) {
                 if (l.name == layer) l.weight = l.weight + at::matmul(up, down) * 0.5;
               },
               [](nn::conv2d&) {}});
  });
  const auto added = with(*file, 0.5);
  EXPECT_TRUE(at::allclose(added, by_hand, 1e-4, 1e-4));
  EXPECT_FALSE(at::allclose(added, none, 1e-4, 1e-4));
  EXPECT_TRUE(at::equal(after(base, [](unet&) {}), none));
  EXPECT_TRUE(at::allclose(with(*file, 0), none));
}

TEST_F(lora_test, a_models_own_are_on_every_picture) {
  const auto folder = copy_of_small_model("own_loras");
  fs::create_directories(folder / "loras");
  EXPECT_TRUE(save_safetensors(
      folder / "loras" / "style.safetensors",
      {{"unet." + layer + ".lora.down.weight", down}, {"unet." + layer + ".lora.up.weight", up}}));
  const pipelines::device cpu;
  const auto drawn = [&](const std::string& loras) -> std::string {
    const auto model = load_image_model(folder, cpu);
    EXPECT_TRUE(model) << model.error().message;
    if (!model) return {};
    pipelines::job_input job;
    job.params = {{"prompt", "a"}, {"width", 64},   {"height", 64}, {"num_inference_steps", 2},
                  {"seed", 1},     {"loras", loras}};
    auto run = (*model)->start(job);
    EXPECT_TRUE(run) << run.error().message;
    for (bool more = true; more;) {
      const auto at = (*run)->step();
      EXPECT_TRUE(at);
      more = at && at->done < at->total;
    }
    return *(*run)->finish()->files.at(0).data;
  };
  const auto plain = drawn("");
  const auto asked = drawn(R"({"style": 0.7})");
  EXPECT_NE(asked, plain);
  std::ofstream(folder / "lp_model.json") << R"({"loras": {"style": 0.7}})";
  EXPECT_EQ(drawn(""), asked);
  EXPECT_EQ(drawn(R"({"style": 0})"), plain);  // the request has the last word
  std::ofstream(folder / "lp_model.json") << R"({"loras": {"gone": 1}})";
  const auto refused = load_image_model(folder, cpu);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("gone"));
}

TEST_F(lora_test, a_text_encoder_that_leaves_memory_does_so_with_additions) {
  const auto folder = copy_of_small_model("low_loras");
  const auto text = folder / "text_encoder" / "model.safetensors";
  ASSERT_TRUE(convert_weights(text, text, "fp16"));  // widened, so that it is in memory
  const std::string q = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora.";
  const auto width = 32;
  const auto file = opened(saved("low", {{q + "down.weight", at::randn({2, width})},
                                         {q + "up.weight", at::randn({width, 2})},
                                         {"unet." + layer + ".lora.down.weight", down},
                                         {"unet." + layer + ".lora.up.weight", up}}));
  std::uint64_t at_rest[2];
  at::Tensor drawn[2];
  for (const bool low : {false, true}) {
    stable_diffusion_options options;
    options.low_memory = low;
    const auto before = tensor_memory().in_use;
    const auto loaded = stable_diffusion::load(folder, options);
    ASSERT_TRUE(loaded) << loaded.error().message;
    std::vector<std::string> unmatched;
    const auto variant = (*loaded)->with_loras({{file, 1.0}}, unmatched);
    ASSERT_TRUE(variant) << variant.error().message;
    EXPECT_THAT(unmatched, IsEmpty());
    EXPECT_GT((*variant)->bytes(), (*loaded)->bytes());
    at_rest[low] = tensor_memory().in_use - before;
    drawing_request r;
    r.prompts = {"a red circle"};
    r.seeds = {7};
    r.width = r.height = 64;
    r.steps = 2;
    const auto d = stable_diffusion::start(*variant, r).value();
    while (d->done() < d->total()) ASSERT_TRUE(d->step());
    drawn[low] = d->prompt_embeds();
    const auto plain = stable_diffusion::start(*loaded, r).value();
    EXPECT_FALSE(at::equal(drawn[low], plain->prompt_embeds()));
  }
  EXPECT_TRUE(at::equal(drawn[0], drawn[1]));
  EXPECT_LT(at_rest[1] + fs::file_size(text), at_rest[0]);
}

TEST_F(lora_test, layouts_mean_the_same) {
  const auto expected = with(*opened(saved("a", {{"unet." + layer + ".lora.down.weight", down},
                                                 {"unet." + layer + ".lora.up.weight", up}})),
                             1);
  auto joined = "lora_unet_" + layer;
  std::replace(joined.begin(), joined.end(), '.', '_');
  auto processor = layer;
  processor.replace(processor.rfind(".to_q"), 5, ".processor.to_q");
  const std::vector<named> layouts = {
      {{joined + ".lora_down.weight", down},
       {joined + ".lora_up.weight", up / 2},
       {joined + ".alpha", at::scalar_tensor(4.0)}},
      {{processor + "_lora.down.weight", down}, {processor + "_lora.up.weight", up}},
      {{"unet." + layer + ".lora_A.weight", down}, {"unet." + layer + ".lora_B.weight", up}}};
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    const auto file = opened(saved("layout" + std::to_string(i), layouts[i]));
    EXPECT_TRUE(at::allclose(with(*file, 1), expected, 1e-5, 1e-5)) << i;
  }
}

TEST_F(lora_test, reaches_convolutions) {
  const std::string conv = "down_blocks.0.resnets.0.conv1";
  std::int64_t in = 0, out = 0;
  base.visit({[](nn::linear&) {},
              [&](nn::conv2d& c) {
                if (c.name == conv) out = c.weight.size(0), in = c.weight.size(1);
              }});
  const auto file = opened(saved(
      "conv",
      {{"lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight", at::randn({2, in, 3, 3})},
       {"lora_unet_down_blocks_0_resnets_0_conv1.lora_up.weight", at::randn({out, 2, 1, 1})}}));
  EXPECT_FALSE(at::allclose(with(*file, 1), none, 1e-3, 1e-3));
}

TEST_F(lora_test, tells_what_does_not_fit) {
  const auto file = opened(saved("odd", {{"unet." + layer + ".lora.down.weight", down},
                                         {"unet." + layer + ".lora.up.weight", up},
                                         {"unet.nowhere.at_all.lora.down.weight", down},
                                         {"unet.nowhere.at_all.lora.up.weight", up},
                                         {"<s1>", at::zeros({4})}}));
  EXPECT_THAT(file->unmatched(), ElementsAre("<s1>"));
  std::vector<std::string> unmatched;
  unet copy = base;
  EXPECT_TRUE(add_lora(copy, *file, 1, unmatched));
  ASSERT_EQ(unmatched.size(), 1U);
  EXPECT_THAT(unmatched[0], HasSubstr("nowhere"));
  const auto wide =
      opened(saved("wide", {{"unet." + layer + ".lora.down.weight", at::randn({2, 3})},
                            {"unet." + layer + ".lora.up.weight", up}}));
  const auto refused = add_lora(copy, *wide, 1, unmatched);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::bad_file);
  EXPECT_THAT(refused.error().message, HasSubstr("to_q"));
  EXPECT_FALSE(lora_file::open(saved("empty", {{"weight", at::zeros({2})}})));
}

TEST(lora, real_files_fit_the_real_network) {
  const auto shared = fs::path(LP_SOURCE_DIR).parent_path() / "shared";
  if (!fs::exists(shared / "weights" / "lora-sd15")) GTEST_SKIP() << "no ../shared";
  const auto configs = shared / "hf-configs" / "stable-diffusion-v1-5";
  recording_parameters shapes;
  unet net(*parse_unet_config(*read_json_file(configs / "unet" / "config.json")), scope(shapes));
  clip_text text(*parse_clip_text_config(*read_json_file(configs / "text_encoder" / "config.json")),
                 scope(shapes));
  std::vector<std::string> unmatched;
  for (const auto& [name, layers] :
       {std::pair{"pokemon_diffusers", 128U}, std::pair{"analog_svd_rank4", 192U}}) {
    const auto file =
        opened(shared / "weights" / "lora-sd15" / (std::string(name) + ".safetensors"));
    EXPECT_EQ(file->entries().size(), layers);
    const auto added = add_lora(net, *file, 1, unmatched);
    EXPECT_TRUE(added) << added.error().message;
    EXPECT_TRUE(add_lora(text, "text_encoder", *file, 1, unmatched));
    EXPECT_THAT(unmatched, IsEmpty()) << name;
  }
}

TEST(lora, names_of_requests_do_not_lead_out_of_the_folder) {
  const auto models = fs::path(::testing::TempDir()) / "lp_lora_names" / "model";
  fs::create_directories(models / "loras" / "owner" / "big");
  std::ofstream(models / "loras" / "style.safetensors") << "x";
  std::ofstream(models / "loras" / "owner" / "big" / "pytorch_lora_weights.safetensors") << "x";
  EXPECT_TRUE(find_lora(models, "style"));
  EXPECT_TRUE(find_lora(models, "style.safetensors"));
  EXPECT_TRUE(find_lora(models, "owner/big"));
  for (const auto* name : {"", "other", "../style", "/etc/passwd", "owner/../../x"}) {
    const auto found = find_lora(models, name);
    EXPECT_FALSE(found) << name;
    if (!found) {
      EXPECT_EQ(found.error().code, ec::invalid_parameters);
    }
  }
}

}  // namespace
}  // namespace lp::engine
