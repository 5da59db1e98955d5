// SPDX-License-Identifier: MIT
// The networks ask for exactly the tensors that the real checkpoints hold.
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/unet.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;

const fs::path configs = fs::path(LP_SOURCE_DIR).parent_path() / "shared" / "hf-configs";

using shapes = std::map<std::string, std::vector<std::int64_t>>;

/// Records like recording_parameters, and claims to have what a file of that listing has.
class listing : public recording_parameters {
 public:
  explicit listing(const shapes& file) : file_(file) {}
  bool has(const std::string& name) const override { return file_.contains(name); }

 private:
  const shapes& file_;
};

shapes read_shapes(const std::string& name) {
  const auto json = read_json_file(configs / "shapes" / (name + ".json"));
  EXPECT_TRUE(json.has_value()) << json.error().message;
  shapes all;
  for (const auto& [tensor, info] : *json)
    if (!tensor.ends_with("position_ids"))
      all[tensor] = boost::json::value_to<std::vector<std::int64_t>>(info.at("shape"));
  return all;
}

template <class Net, class Parse>
void build(const boost::json::object& json, parameters& source, Parse parse) {
  const auto config = parse(json);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  const Net net(*config, scope(source));
}

struct real_model {
  const char* config;  ///< below hf-configs
  const char* kind;
  const char* listing;
};

// NOLINTNEXTLINE(readability-identifier-naming): the name that GoogleTest looks for
void PrintTo(const real_model& m, std::ostream* out) {
  *out << m.listing;
}

class network_names_test : public testing::TestWithParam<real_model> {};

TEST_P(network_names_test, equal_the_real_checkpoint) {
  if (!fs::exists(configs)) GTEST_SKIP() << "no ../shared";
  const auto& model = GetParam();
  const auto expected = read_shapes(model.listing);
  const auto json = read_json_file(configs / model.config);
  ASSERT_TRUE(json.has_value()) << json.error().message;
  listing source(expected);
  const std::string kind = model.kind;
  if (kind == "unet") build<unet>(*json, source, parse_unet_config);
  if (kind == "vae") build<autoencoder_kl>(*json, source, parse_autoencoder_kl_config);
  if (kind == "text") build<clip_text>(*json, source, parse_clip_text_config);
  shapes asked;
  for (const auto& [name, shape] : source.names()) {
    EXPECT_TRUE(asked.emplace(name, shape).second) << name << " asked for twice";
    const auto found = expected.find(name);
    ASSERT_NE(found, expected.end()) << name << " is not in the checkpoint";
    EXPECT_EQ(shape, found->second) << name;
  }
  for (const auto& [name, shape] : expected)
    EXPECT_TRUE(asked.contains(name)) << name << " was not asked for";
}

INSTANTIATE_TEST_SUITE_P(
    models, network_names_test,
    testing::Values(
        real_model{"stable-diffusion-v1-5/unet/config.json", "unet", "sd15-unet"},
        real_model{"stable-diffusion-v1-5/vae/config.json", "vae", "sd15-vae"},
        real_model{"stable-diffusion-v1-5/vae/config.json", "vae", "sd15-vae-original-names"},
        real_model{"stable-diffusion-v1-5/text_encoder/config.json", "text", "sd15-text_encoder"},
        real_model{"stable-diffusion-2-1/unet/config.json", "unet", "sd21-unet"},
        real_model{"stable-diffusion-2-1/vae/config.json", "vae", "sd15-vae"},
        real_model{"stable-diffusion-2-1/text_encoder/config.json", "text", "sd21-text_encoder"},
        real_model{"stable-diffusion-inpainting/unet/config.json", "unet", "sd15-inpainting-unet"},
        real_model{"stable-diffusion-x4-upscaler/unet/config.derived.json", "unet",
                   "x4-upscaler-unet"},
        real_model{"stable-diffusion-x4-upscaler/vae/config.derived.json", "vae",
                   "x4-upscaler-vae"},
        real_model{"stable-diffusion-xl-base-1.0/unet/config.json", "unet", "sdxl-unet"},
        real_model{"stable-diffusion-xl-base-1.0/vae/config.json", "vae", "sdxl-vae"},
        real_model{"stable-diffusion-xl-base-1.0/text_encoder/config.json", "text",
                   "sdxl-text_encoder"},
        real_model{"stable-diffusion-xl-base-1.0/text_encoder_2/config.json", "text",
                   "sdxl-text_encoder_2"}));

}  // namespace
}  // namespace lp::engine
