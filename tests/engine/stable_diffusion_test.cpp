// SPDX-License-Identifier: MIT
#include "pipelines/engine/stable_diffusion.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <boost/json.hpp>

#include "pipelines/engine/python_json.hpp"
#include "pipelines/engine/safetensors.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::HasSubstr;

std::vector<std::string> texts(const json::object& params, std::string_view key) {
  const auto* value = params.if_contains(key);
  if (value == nullptr) return {};
  return value->is_string() ? std::vector{json::value_to<std::string>(*value)}
                            : json::value_to<std::vector<std::string>>(*value);
}

drawing_request request_of(const json::object& params) {
  const auto number = [&](std::string_view key, double fallback) {
    const auto* value = params.if_contains(key);
    return value == nullptr ? fallback : value->to_number<double>();
  };
  drawing_request r;
  r.prompts = texts(params, "prompt");
  r.negative_prompts = texts(params, "negative_prompt");
  r.images_per_prompt = static_cast<std::int64_t>(number("num_images_per_prompt", 1));
  r.width = static_cast<std::int64_t>(number("width", 64));
  r.height = static_cast<std::int64_t>(number("height", 64));
  r.steps = static_cast<int>(number("num_inference_steps", 50));
  r.guidance_scale = number("guidance_scale", 7.5);
  r.guidance_rescale = number("guidance_rescale", 0);
  r.clip_skip = static_cast<int>(number("clip_skip", 0));
  if (params.contains("seeds"))
    r.seeds = json::value_to<std::vector<std::uint64_t>>(params.at("seeds"));
  else
    r.seeds = {static_cast<std::uint64_t>(number("seed", 0))};
  return r;
}

/// A recorded run of a whole pipeline.
class recorded_drawing {
 public:
  explicit recorded_drawing(const fs::path& folder)
      : root_(folder.parent_path()),
        about_(read_python_json_file(folder / "case.json").value()),
        expected_(safetensors_file::open(folder / "expected.safetensors").value()) {}

  void compare() {
    stable_diffusion_options options;
    options.precision = weight_precision::fp32;
    if (const auto* other = about_.if_contains("scheduler_override"))
      options.scheduler_config = root_ / json::value_to<std::string>(*other);
    auto loaded = stable_diffusion::load(
        root_ / json::value_to<std::string>(about_.at("model_dir")), options);
    ASSERT_TRUE(loaded) << loaded.error().message;
    auto started = stable_diffusion::start(*loaded, request_of(about_.at("params").as_object()));
    ASSERT_TRUE(started) << started.error().message;
    auto& d = **started;
    expect("initial_latents", d.latents());
    expect("prompt_embeds", d.prompt_embeds());
    expect("negative_prompt_embeds", d.negative_prompt_embeds());
    std::vector<at::Tensor> latents, pictures;
    while (d.done() < d.total()) {
      ASSERT_TRUE(d.step());
      latents.push_back(d.latents());
    }
    expect("step_latents", at::stack(latents));
    for (std::int64_t i = 0; i < d.count(); ++i) pictures.push_back(d.picture(i).value());
    expect("image", at::cat(pictures));
  }

 private:
  void expect(const std::string& name, const at::Tensor& got) {
    if (!expected_->tensors().contains(name)) return;
    const auto want = expected_->load(name).value();
    const auto& limits = about_.at("expected").at(name).as_object();
    ASSERT_TRUE(got.defined()) << name;
    ASSERT_EQ(got.sizes(), want.sizes()) << name;
    EXPECT_TRUE(at::allclose(got, want, limits.at("rtol").to_number<double>(),
                             limits.at("atol").to_number<double>()))
        << name << " is off by up to " << (got - want).abs().max().item<float>();
  }

  fs::path root_;
  json::object about_;
  std::shared_ptr<safetensors_file> expected_;
};

bool is_text_to_image(const fs::path& folder) {
  const auto about = read_python_json_file(folder / "case.json");
  if (!about || about->at("kind") != "pipeline") return false;
  if (!about->at("inputs").as_object().empty()) return false;
  const auto index = read_python_json_file(folder.parent_path() /
                                           json::value_to<std::string>(about->at("model_dir")) /
                                           "model_index.json");
  return index && (index->at("_class_name") == "StableDiffusionPipeline" ||
                   index->at("_class_name") == "LatentConsistencyModelPipeline");
}

std::vector<fs::path> recorded_folders() {
  std::vector<fs::path> out;
  for (const auto* place : {"/../shared/goldens", "/tests/data/goldens"}) {
    const auto root = fs::path(std::string(LP_SOURCE_DIR) + place);
    if (!fs::is_directory(root)) continue;
    for (const auto& entry : fs::directory_iterator(root))
      if (is_text_to_image(entry.path())) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

class recorded_drawings : public ::testing::TestWithParam<fs::path> {};
TEST_P(recorded_drawings, are_reproduced) {
  recorded_drawing(GetParam()).compare();
}
INSTANTIATE_TEST_SUITE_P(all, recorded_drawings, ::testing::ValuesIn(recorded_folders()),
                         [](const auto& param) {
                           return param.param.filename().string() + "_" +
                                  std::to_string(param.index);
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(recorded_drawings);

}  // namespace
}  // namespace lp::engine
