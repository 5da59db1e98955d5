// SPDX-License-Identifier: MIT
// Numbers that are not finite end a drawing with an error that says where they came from.
#include "pipelines/engine/finite.hpp"

#include <cmath>
#include <fstream>
#include <limits>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <boost/json/object.hpp>

#include "pipelines/engine/attention.hpp"
#include "pipelines/engine/image_model.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

/// Puts a value into every number of the tensors of a part whose names hold `words`, and saves the
/// part as one safetensors file.
void spoil(const fs::path& part, const std::string& words, double value) {
  fs::path file;
  for (const auto& entry : fs::directory_iterator(part))
    if (entry.path().extension() == ".safetensors") file = entry.path();
  const auto opened = safetensors_file::open(file);
  ASSERT_TRUE(opened) << opened.error().message;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  bool found = false;
  for (const auto& [name, info] : (*opened)->tensors()) {
    auto t = (*opened)->load(name)->to(at::kFloat).clone();
    if (name.find(words) != name.npos) {
      t.fill_(value);
      found = true;
    }
    tensors.emplace_back(name, t);
  }
  ASSERT_TRUE(found) << words;
  ASSERT_TRUE(save_safetensors(file, tensors));
}

/// The error that a job ends with.
error drawn(const fs::path& folder, boost::json::object more = {}) {
  const auto model = load_image_model(folder, {});
  EXPECT_TRUE(model) << model.error().message;
  pipelines::job_input job;
  job.params = {
      {"prompt", "a"}, {"width", 64}, {"height", 64}, {"num_inference_steps", 2}, {"seed", 1}};
  for (const auto& [key, value] : more) job.params[key] = value;
  const auto run = (*model)->start(job);
  if (!run) return run.error();
  for (bool more_steps = true; more_steps;) {
    const auto at = (*run)->step();
    if (!at) return at.error();
    more_steps = at->done < at->total;
  }
  EXPECT_TRUE((*run)->finish());
  return {};
}

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

TEST(finite, is_told_by_every_number) {
  EXPECT_TRUE(all_finite({}));
  EXPECT_TRUE(all_finite(at::zeros({0})));
  EXPECT_TRUE(all_finite(at::randn({1000})));
  EXPECT_TRUE(all_finite(at::full({8}, 3e38f)));  // whose sum is not
  EXPECT_TRUE(all_finite(at::full({100000}, 60000, at::kHalf)));
  for (const double bad : {nan, inf, -inf}) {
    for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16}) {
      auto t = at::randn({1000}).to(type);
      t[777] = bad;
      EXPECT_FALSE(all_finite(t));
    }
  }
}

TEST(finite, attention_hides_nothing) {
  const c10::InferenceMode no_gradients;
  const auto k = at::randn({1, 70, 64}), v = at::randn({1, 70, 64});
  for (const double bad : {nan, inf}) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      auto q = at::randn({1, 70, 64});
      q[0][66].fill_(bad);
      const auto out = attention(q.to(type), k.to(type), v.to(type), 2, false);
      EXPECT_FALSE(all_finite(out[0][66]));
      EXPECT_TRUE(all_finite(out[0].narrow(0, 0, 66)));
      auto keys = k.clone();
      keys[0][69].fill_(bad);
      EXPECT_FALSE(all_finite(
          attention(at::randn({1, 70, 64}).to(type), keys.to(type), v.to(type), 2, false)));
    }
  }
}

TEST(finite, damaged_weights_are_told_by_part_and_layer) {
  struct {
    const char *part, *words, *told, *named;
    double value;
  } const cases[] = {
      {"unet", "mid_block.resnets.0.conv1.weight", "the UNet's result in step 1",
       "mid_block.resnets.0.conv1", nan},
      {"unet", "time_embedding.linear_1.bias", "the UNet's result in step 1",
       "time_embedding.linear_1", inf},
      {"unet", "conv_norm_out.weight", "the UNet's result in step 1", "damaged", nan},
      {"text_encoder", "layers.0.self_attn.q_proj.weight", "the text encoder",
       "encoder.layers.0.self_attn.q_proj", nan},
      {"vae", "decoder.conv_in.weight", "the autoencoder's picture", "damaged", nan},
      {"vae", "decoder.mid_block.resnets.0.conv1.weight", "the autoencoder's picture",
       "beyond what their type holds", 3e38},
  };
  for (const auto& c : cases) {
    const auto folder = copy_of_small_model("spoilt");
    spoil(folder / c.part, c.words, c.value);
    const auto e = drawn(folder);
    EXPECT_EQ(e.code, ec::pipeline_failed) << c.words;
    EXPECT_THAT(e.message, HasSubstr("not finite"));
    EXPECT_THAT(e.message, HasSubstr(c.told));
    EXPECT_THAT(e.message, HasSubstr(c.named));
    EXPECT_THAT(e.message, Not(HasSubstr(folder.string())));
  }
  EXPECT_EQ(drawn(copy_of_small_model("whole")).code, ec::none);
}

TEST(finite, one_drawing_of_several_fails_alone) {
  const auto pipeline = stable_diffusion::load(small_model());
  ASSERT_TRUE(pipeline);
  drawing_request r;
  r.prompts = {"a"};
  r.seeds = {1};
  r.width = r.height = 64;
  r.steps = 3;
  auto wild = r;
  wild.guidance_scale = 1e38;
  const auto good = stable_diffusion::start(*pipeline, r).value();
  const auto bad = stable_diffusion::start(*pipeline, wild).value();
  const auto alone = stable_diffusion::start(*pipeline, r).value();
  bool failed = false;
  while (!failed && good->done() < good->total()) {
    drawing* const both[] = {good.get(), bad.get()};
    const auto outcomes = drawing::step_together(both);
    EXPECT_TRUE(outcomes[0]);
    failed = !outcomes[1];
    ASSERT_TRUE(alone->step());
  }
  ASSERT_TRUE(failed);
  EXPECT_TRUE(at::equal(good->latents(), alone->latents()));
}

TEST(finite, strengths_and_settings_are) {
  const auto folder = copy_of_small_model("endless");
  for (const auto* loras : {R"({"x": 1e400})", R"({"x": -1e400})", R"({"x": NaN})"}) {
    const auto e = drawn(folder, {{"loras", loras}});
    EXPECT_EQ(e.code, ec::invalid_parameters) << loras;
    ASSERT_EQ(e.fields.size(), 1U);
    EXPECT_EQ(e.fields[0].loc.back(), "loras");
  }
  std::ofstream(folder / "lp_model.json") << R"({"loras": {"x": 1e400}})";
  EXPECT_FALSE(load_image_model(folder, {}));
  std::ofstream(folder / "lp_model.json") << R"({"max_guidance": 1e400})";
  EXPECT_FALSE(load_image_model(folder, {}));
}

}  // namespace
}  // namespace lp::engine
