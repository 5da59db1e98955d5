// SPDX-License-Identifier: MIT
#include "pipelines/engine/safety_checker.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <boost/json.hpp>

#include "pipelines/engine.hpp"
#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "tests/engine/random_tensors.hpp"
#include "tests/engine/saved_tensors.hpp"
#include "tests/engine/small_model.hpp"
#include "tests/support/colour_checker.hpp"

extern "C" lp::pipelines::engine* lp_engine_instance();

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::lp::testing::colour_checker;
using ::testing::HasSubstr;

TEST(safety_checker, decides_as_the_original_does) {
  const std::vector<float> none(3, -1);
  EXPECT_FALSE(flags(none, {-0.1F, -0.0001F, -1}));
  EXPECT_TRUE(flags(none, {-0.1F, 0.002F, -1}));
  // Three digits count.
  EXPECT_FALSE(flags(none, {0.0004F}));
  EXPECT_TRUE(flags(none, {0.0006F}));
  // A special concept flags nothing by itself, and makes the others stricter by 0.01.
  EXPECT_FALSE(flags({0.2F, -1, -1}, {-0.02F}));
  EXPECT_FALSE(flags(none, {-0.008F}));
  EXPECT_TRUE(flags({-1, -1, 0.2F}, {-0.008F}));
  EXPECT_FALSE(flags({0.0004F, -1, -1}, {-0.008F}));
  EXPECT_FALSE(flags({0.2F, -1, -1}, {-0.0096F}));
  EXPECT_TRUE(flags({0.2F, -1, -1}, {-0.0094F}));
  // The special ones behind it are met sooner too, which changes no more.
  EXPECT_FALSE(flags({0.2F, -0.005F, -1}, {-0.012F}));
}

pipelines::picture flat(unsigned red, unsigned green, unsigned blue, std::uint32_t width = 40,
                        std::uint32_t height = 24) {
  std::string values;
  for (std::uint32_t i = 0; i < width * height; ++i)
    for (const unsigned c : {red, green, blue}) values += static_cast<char>(c);
  return {"", width, height, 3, share(std::move(values))};
}

fs::path empty_folder(const std::string& name) {
  const auto folder = fs::path(::testing::TempDir()) / "lp_checkers" / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

/// A folder "safety_checker" beside its "feature_extractor".
fs::path colour_folder(const std::string& name) {
  const auto folder = empty_folder(name);
  colour_checker::write(folder);
  return folder / "safety_checker";
}

std::string error_with(const fs::path& folder) {
  const auto checker = open_safety_checker(folder);
  if (!checker) {
    EXPECT_EQ(checker.error().code, ec::bad_file);
    return checker.error().message;
  }
  const auto seen = (*checker)->offensive(flat(0, 0, 255));
  if (seen) return "";
  EXPECT_EQ(seen.error().code, ec::bad_file);
  return seen.error().message;
}

TEST(safety_checker, flags_red_and_not_blue) {
  for (const bool low_memory : {false, true}) {
    const auto checker = open_safety_checker(colour_folder("colours"), low_memory);
    ASSERT_TRUE(checker) << checker.error().message;
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE((*checker)->offensive(flat(255, 0, 0)).value());
      EXPECT_FALSE((*checker)->offensive(flat(0, 0, 255)).value());
      EXPECT_FALSE((*checker)->offensive(flat(0, 255, 0, 24, 333)).value());
    }
    EXPECT_THAT((*checker)->name(), HasSubstr("safety_checker"));
    EXPECT_EQ((*checker)->bytes() == 0, low_memory);
  }
}

TEST(safety_checker, reads_weights_that_python_pickled) {
  const auto folder = colour_folder("pickled");
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  const auto converted = open_tensors(folder / "model.safetensors").value();
  for (const auto& [name, stored] : converted) tensors.emplace_back(name, stored.load().value());
  test::write_torch_archive(folder / "pytorch_model.bin", saved(tensors));
  fs::remove(folder / "model.safetensors");
  const auto checker = open_safety_checker(folder).value();
  const auto red = checker->offensive(flat(255, 0, 0));
  ASSERT_TRUE(red) << red.error().message;
  EXPECT_TRUE(*red);
  EXPECT_FALSE(checker->offensive(flat(0, 0, 255)).value());
}

/// Random networks see colours somehow: the concept that is asked for is the difference.
class random_checker {
 public:
  random_checker() {
    const c10::InferenceMode no_gradients;
    config_.hidden_size = 24;
    config_.intermediate_size = 40;
    config_.num_hidden_layers = 2;
    config_.num_attention_heads = 3;
    config_.image_size = 32;
    config_.patch_size = 8;
    config_.projection_dim = 10;
    const clip_vision vision(config_, scope(tensors_, "vision_model.vision_model"),
                             scope(tensors_));
    red_ = embedding(vision, flat(255, 0, 0));
    const auto wanted = red_ - embedding(vision, flat(0, 0, 255));
    tensors_.made["concept_embeds"] = at::zeros({17, 10});
    tensors_.made["concept_embeds"][5] = wanted * 3;
    tensors_.made["concept_embeds_weights"] = at::full({17}, 0.9);
    tensors_.made["special_care_embeds"] = at::zeros({3, 10});
    tensors_.made["special_care_embeds"][1] = wanted;
    tensors_.made["special_care_embeds_weights"] = at::full({3}, 0.9);
    likeness_ = (red_ * wanted / wanted.norm()).sum().item<float>();
  }

  /// How alike red is to the concept.
  float likeness() const { return likeness_; }

  /// The folder with these thresholds.
  fs::path write(const std::string& name, float concept_threshold, float special_threshold) {
    const c10::InferenceMode no_gradients;
    tensors_.made["concept_embeds_weights"][5] = concept_threshold;
    tensors_.made["special_care_embeds_weights"][1] = special_threshold;
    const auto folder = empty_folder(name);
    const json::object vision{{"hidden_size", 24},      {"intermediate_size", 40},
                              {"num_hidden_layers", 2}, {"num_attention_heads", 3},
                              {"image_size", 32},       {"patch_size", 8}};
    std::ofstream(folder / "config.json")
        << json::serialize(json::object{{"projection_dim", 10}, {"vision_config", vision}});
    std::ofstream(folder / "preprocessor_config.json") << R"({"size": 32, "crop_size": 32})";
    const std::vector<std::pair<std::string, at::Tensor>> all(tensors_.made.begin(),
                                                              tensors_.made.end());
    EXPECT_TRUE(save_safetensors(folder / "model.safetensors", all));
    return folder;
  }

 private:
  at::Tensor embedding(const clip_vision& vision, const pipelines::picture& p) const {
    clip_image_config pixels;
    pixels.shortest_edge = pixels.crop_width = pixels.crop_height = 32;
    const auto seen =
        vision(process_clip_image({p.width, p.height, *p.values}, pixels).value()).image_embeds[0];
    return seen / seen.norm();
  }

  random_tensors tensors_{11};
  clip_vision_config config_;
  at::Tensor red_;
  float likeness_ = 0;
};

TEST(safety_checker, weighs_likeness_against_thresholds) {
  random_checker random;
  const float like = random.likeness();
  ASSERT_GT(like, 0.05F);
  const auto verdicts = [&](float threshold, float special) {
    const auto checker = open_safety_checker(random.write("random", threshold, special)).value();
    return std::pair{checker->offensive(flat(255, 0, 0)).value(),
                     checker->offensive(flat(0, 0, 255)).value()};
  };
  EXPECT_EQ(verdicts(like - 0.005F, 2), (std::pair{true, false}));
  EXPECT_EQ(verdicts(like + 0.005F, 2), (std::pair{false, false}));
  EXPECT_EQ(verdicts(like + 0.005F, like - 0.01F), (std::pair{true, false}));
  EXPECT_EQ(verdicts(like + 0.015F, like - 0.01F), (std::pair{false, false}));
  EXPECT_EQ(verdicts(-1.5F, 2), (std::pair{true, true}));
}

TEST(safety_checker, names_the_file_and_what_is_wrong_with_it) {
  const auto changed = [](const std::string& name, const fs::path& file, const char* from,
                          const char* to) {
    const auto folder = colour_folder(name);
    replace_in(folder / file, from, to);
    return error_with(folder);
  };
  EXPECT_THAT(error_with(empty_folder("nothing")), HasSubstr("config.json"));
  EXPECT_THAT(
      changed("heads", "config.json", "\"num_attention_heads\":2", "\"num_attention_heads\":3"),
      ::testing::AllOf(HasSubstr("heads"), HasSubstr("num_attention_heads")));
  EXPECT_THAT(changed("width", "config.json", "\"projection_dim\":4", "\"projection_dim\":5"),
              ::testing::AllOf(HasSubstr("concept_embeds"), HasSubstr("safety_checker")));
  EXPECT_THAT(changed("sides", "../feature_extractor/preprocessor_config.json", "\"crop_size\":8",
                      "\"crop_size\":7"),
              ::testing::AllOf(HasSubstr("image_size"), HasSubstr("7x7")));
  EXPECT_THAT(
      changed("mean", "../feature_extractor/preprocessor_config.json", "{", "{\"image_mean\": 1,"),
      ::testing::AllOf(HasSubstr("feature_extractor"), HasSubstr("image_mean")));
  EXPECT_THAT(
      changed("lacking", "model.safetensors", "special_care_embeds\"", "special_care_embedx\""),
      HasSubstr("special_care_embeds"));
  const auto bare = colour_folder("bare");
  fs::remove(bare / "model.safetensors");
  EXPECT_THAT(error_with(bare), HasSubstr("bare/safety_checker: no weights"));
  const auto cut = colour_folder("cut");
  fs::resize_file(cut / "model.safetensors", 3000);
  EXPECT_THAT(error_with(cut), HasSubstr("model.safetensors"));
}

TEST(safety_checker, belongs_to_the_model_whose_index_names_it) {
  const auto plain = lp_engine_instance()->load_image_model(small_model(), {}).value();
  EXPECT_EQ(plain->safety(), nullptr);
  const auto folder = copy_of_small_model("checked");
  colour_checker::write(folder);
  EXPECT_EQ(lp_engine_instance()->load_image_model(folder, {}).value()->safety(), nullptr);
  json::object index;
  {
    std::ifstream in(folder / "model_index.json");
    index = json::parse(in).as_object();
  }
  index["safety_checker"] = {"stable_diffusion", "StableDiffusionSafetyChecker"};
  std::ofstream(folder / "model_index.json") << json::serialize(index);
  const auto model = lp_engine_instance()->load_image_model(folder, {}).value();
  ASSERT_NE(model->safety(), nullptr);
  EXPECT_TRUE(model->safety()->offensive(flat(255, 0, 0)).value());
  EXPECT_GT(model->safety()->bytes(), 0U);
  EXPECT_EQ(model->bytes(), plain->bytes() + model->safety()->bytes());
  const pipelines::job_input input{{{"prompt", ""}, {"width", 64}, {"height", 64}}, {}};
  EXPECT_EQ(model->memory_for(input).value().weights, model->bytes());
}

}  // namespace
}  // namespace lp::engine
