// SPDX-License-Identifier: MIT
// What checkpoints in one file say of what they predict.
#include "pipelines/weights/checkpoint_prediction.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/bytes.hpp"

namespace lp::pipelines {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class prediction_test : public testing::Test {
 protected:
  prediction_test() { fs::create_directories(root_); }
  ~prediction_test() override { fs::remove_all(root_); }

  struct tensor {
    std::string name;
    std::string shape;
    std::string dtype = "F32";
    std::string bytes{};
  };
  // A file of these tensors, without the network's.
  void write(const std::vector<tensor>& tensors, const std::string& metadata = {}) const {
    std::string header = "{", data;
    for (const tensor& t : tensors) {
      header += fmt::format(R"("{}": {{"dtype": "{}", "shape": {}, "data_offsets": [{}, {}]}},)",
                            t.name, t.dtype, t.shape, data.size(), data.size() + t.bytes.size());
      data += t.bytes;
    }
    header += metadata.empty() ? R"("__metadata__": {}})"
                               : fmt::format(R"("__metadata__": {{{}}}}})", metadata);
    std::string length(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
    std::ofstream(file_, std::ios::binary) << length << header << data;
  }
  static std::string floats(const std::vector<float>& values) {
    std::string out(values.size() * sizeof(float), '\0');
    std::memcpy(out.data(), values.data(), out.size());
    return out;
  }
  std::string told() const {
    const auto found = prediction_of(file_);
    return found ? found->text() : found.error().message;
  }

  const fs::path root_ = fs::temp_directory_path() / ("lp_prediction_" + random_hex(8));
  const fs::path file_ = root_ / "model-v-768.safetensors";
};

TEST_F(prediction_test, nothing_said_is_assumed_and_told) {
  write({{"w", "[0]"}});
  EXPECT_EQ(told(), "predicts epsilon, which is assumed: the file does not say");
  write({{"w", "[0]"}}, R"("modelspec.prediction_type": "of its own kind")");
  EXPECT_THAT(told(), HasSubstr("assumed"));
}

TEST_F(prediction_test, keys_and_metadata_say_it) {
  write({{"v_pred", "[0]"}});
  EXPECT_EQ(told(), "predicts v_prediction, by the tensor v_pred");
  write({{"v_pred", "[0]"}, {"ztsnr", "[0]"}}, R"("modelspec.prediction_type": "epsilon")");
  EXPECT_EQ(told(), "predicts v_prediction with zero terminal SNR, by the tensor v_pred");
  for (const char* v : {"v", "v_prediction", "v-prediction", "velocity"}) {
    write({}, fmt::format(R"("modelspec.prediction_type": "{}")", v));
    EXPECT_EQ(told(), "predicts v_prediction, by the metadata modelspec.prediction_type") << v;
  }
  write({}, R"("modelspec.prediction_type": "epsilon")");
  EXPECT_EQ(told(), "predicts epsilon, by the metadata modelspec.prediction_type");
  write({}, R"("modelspec.architecture": "stable-diffusion-v2-768-v")");
  EXPECT_THAT(told(), HasSubstr("v_prediction, by the metadata modelspec.architecture"));
}

TEST_F(prediction_test, a_schedule_without_signal_at_its_end_says_it) {
  write({{"alphas_cumprod", "[3]", "F32", floats({0.99F, 0.5F, 0.0047F})}});
  EXPECT_THAT(told(), HasSubstr("assumed"));
  write({{"alphas_cumprod", "[3]", "F32", floats({0.99F, 0.5F, 0.0F})}});
  EXPECT_THAT(told(), HasSubstr("v_prediction with zero terminal SNR, by the tensor alphas"));
}

TEST_F(prediction_test, the_spread_of_a_bias_tells_networks_of_sd_2) {
  const std::string of = "model.diffusion_model.";
  const auto with = [&](const std::string& dtype, const std::string& bytes, int context) {
    write({{of + "input_blocks.0.0.weight", "[0, 4, 3, 3]"},
           {of + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
            fmt::format("[0, {}]", context)},
           {of + "output_blocks.11.1.transformer_blocks.0.norm1.bias", "[2]", dtype, bytes}});
    return told();
  };
  EXPECT_THAT(with("F32", floats({0.1F, -0.1F}), 1024),
              HasSubstr("v_prediction, by the spread of"));
  EXPECT_THAT(with("F32", floats({0.05F, -0.05F}), 1024), HasSubstr("epsilon, by the spread of"));
  EXPECT_THAT(with("F32", floats({0.1F, -0.1F}), 768), HasSubstr("assumed"));
  // 0.125 and -0.125 in halves and in bfloat16.
  const std::string halves("\x00\x30\x00\xb0", 4), brain("\x00\x3e\x00\xbe", 4);
  EXPECT_THAT(with("F16", halves, 1024), HasSubstr("v_prediction"));
  EXPECT_THAT(with("BF16", brain, 1024), HasSubstr("v_prediction"));
}

TEST_F(prediction_test, the_owners_word_goes_first) {
  write({{"v_pred", "[0]"}, {"ztsnr", "[0]"}});
  const auto beside = root_ / "model-v-768.json";
  std::ofstream(beside) << R"({"scheduler": {"prediction_type": "epsilon"}})";
  EXPECT_THAT(told(), HasSubstr("v_prediction")) << "a scheduler is no word on this file";
  std::ofstream(beside) << R"({"prediction_type": "sample"})";
  EXPECT_EQ(told(), "predicts sample with zero terminal SNR, by model-v-768.json");
  std::ofstream(root_ / "lp_model.json")
      << R"({"prediction_type": "epsilon", "zero_terminal_snr": false})";
  EXPECT_EQ(told(), "predicts epsilon, by lp_model.json");
  std::ofstream(root_ / "lp_model.json") << R"({"prediction_type": 7})";
  EXPECT_THAT(told(), HasSubstr("lp_model.json: prediction_type: expected"));
  std::ofstream(root_ / "lp_model.json") << R"({"zero_terminal_snr": "yes"})";
  EXPECT_THAT(told(), HasSubstr("zero_terminal_snr: expected true or false"));
  std::ofstream(root_ / "lp_model.json") << "{";
  EXPECT_THAT(told(), HasSubstr("expected a JSON object"));
  fs::remove(root_ / "lp_model.json");
  write({{"w", "[0]"}});
  std::ofstream(beside) << R"({"scheduler": {"prediction_type": "v_prediction"}})";
  EXPECT_THAT(told(), HasSubstr("v_prediction, by the scheduler"));
}

TEST_F(prediction_test, other_ways_of_sampling_are_refused) {
  for (const char* name : {"edm_mean", "edm_vpred.sigma_max"}) {
    write({{name, "[0]"}});
    EXPECT_EQ(prediction_of(file_).error().code, ec::bad_file);
    EXPECT_THAT(told(), HasSubstr("not supported")) << name;
  }
}

}  // namespace
}  // namespace lp::pipelines
