// SPDX-License-Identifier: MIT
#include "pipelines/engine/checkpoint.hpp"

#include <fstream>
#include <string>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/unet.hpp"
#include "runtime/base/bytes.hpp"
#include "tests/engine/saved_tensors.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* config = R"({
  "block_out_channels": [8], "layers_per_block": 1, "norm_num_groups": 4,
  "attention_head_dim": 2, "cross_attention_dim": 12,
  "down_block_types": ["CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D"]})";

class checkpoint_test : public testing::Test {
 protected:
  checkpoint_test()
      : net_(*parse_unet_config(boost::json::parse(config).as_object()), scope(source_)) {
    fs::create_directories(folder_);
    std::ofstream(folder_ / "config.json") << config;
    tensors_ = source_.tensors();
  }
  ~checkpoint_test() override { fs::remove_all(folder_); }

  void save(const std::string& file, const named_tensors& tensors) {
    const auto ok = save_safetensors(folder_ / file, tensors);
    ASSERT_TRUE(ok.has_value()) << ok.error().message;
  }
  std::string refusal() const {
    const auto loaded = load_unet(folder_, at::kFloat);
    return loaded ? std::string() : loaded.error().message;
  }
  /// The largest difference between the loaded network's output and the saved one's.
  double difference(at::ScalarType dtype) const {
    const auto loaded = load_unet(folder_, dtype);
    if (!loaded) throw std::runtime_error(loaded.error().message);
    const unet_input in{.sample = at::ones({1, 4, 6, 6}),
                        .timestep = at::full({1}, 500),
                        .encoder_hidden_states = at::ones({1, 3, 12})};
    const c10::InferenceMode inference;
    return ((**loaded)(in)-net_(in)).abs().max().item<double>();
  }

  random_parameters source_{{.seed = 1, .requires_grad = false}};
  unet net_;
  named_tensors tensors_;
  fs::path folder_ = fs::temp_directory_path() / ("checkpoint-" + random_hex(6));
};

TEST_F(checkpoint_test, loads_a_single_file) {
  tensors_.emplace_back("text_model.embeddings.position_ids", at::arange(7));
  save("diffusion_pytorch_model.safetensors", tensors_);
  EXPECT_LT(difference(at::kFloat), 1e-5);
  EXPECT_LT(difference(at::kBFloat16), 0.1);
  std::uint64_t bytes = 0;
  ASSERT_TRUE(load_unet(folder_, at::kBFloat16, at::kCPU, &bytes).has_value());
  std::uint64_t expected = 0;
  for (const auto& [name, tensor] : source_.tensors()) expected += 2 * tensor.numel();
  EXPECT_EQ(bytes, expected);
}

TEST_F(checkpoint_test, loads_the_fp16_variant) {
  for (auto& [name, tensor] : tensors_) tensor = tensor.to(at::kHalf);
  save("diffusion_pytorch_model.fp16.safetensors", tensors_);
  EXPECT_LT(difference(at::kFloat), 0.01);
}

TEST_F(checkpoint_test, loads_shards) {
  const auto half = tensors_.size() / 2;
  const auto middle = tensors_.begin() + static_cast<std::ptrdiff_t>(half);
  save("a.safetensors", {tensors_.begin(), middle});
  save("b.safetensors", {middle, tensors_.end()});
  boost::json::object map;
  for (std::size_t i = 0; i < tensors_.size(); ++i)
    map[tensors_[i].first] = i < half ? "a.safetensors" : "b.safetensors";
  const auto index = folder_ / "diffusion_pytorch_model.safetensors.index.json";
  std::ofstream(index) << boost::json::object{{"weight_map", map}};
  EXPECT_LT(difference(at::kFloat), 1e-5);

  map["conv_in.weight"] = "b.safetensors";
  std::ofstream(index) << boost::json::object{{"weight_map", map}};
  EXPECT_THAT(refusal(), HasSubstr("conv_in.weight is not in b.safetensors"));

  map["conv_in.weight"] = "../b.safetensors";
  std::ofstream(index) << boost::json::object{{"weight_map", map}};
  EXPECT_THAT(refusal(), HasSubstr("plain file name"));
}

TEST_F(checkpoint_test, loads_what_python_pickled) {
  test::write_torch_archive(folder_ / "diffusion_pytorch_model.bin", saved(tensors_));
  EXPECT_LT(difference(at::kFloat), 1e-5);
  EXPECT_LT(difference(at::kBFloat16), 0.1);
  // Safetensors go before it.
  save("model.fp16.safetensors", {});
  EXPECT_THAT(refusal(), HasSubstr("missing tensor(s)"));
}

TEST_F(checkpoint_test, loads_pickled_shards) {
  const auto half = static_cast<std::ptrdiff_t>(tensors_.size() / 2);
  const named_tensors first(tensors_.begin(), tensors_.begin() + half);
  test::write_torch_archive(folder_ / "a.bin", saved(first));
  test::write_torch_archive(folder_ / "b.bin", saved({tensors_.begin() + half, tensors_.end()}));
  boost::json::object map;
  for (const auto& [name, tensor] : tensors_) map[name] = "b.bin";
  for (const auto& [name, tensor] : first) map[name] = "a.bin";
  std::ofstream(folder_ / "diffusion_pytorch_model.bin.index.json")
      << boost::json::object{{"weight_map", map}};
  EXPECT_LT(difference(at::kFloat), 1e-5);
}

TEST_F(checkpoint_test, names_every_tensor_that_does_not_fit) {
  std::erase_if(tensors_, [](const auto& t) {
    return t.first == "conv_in.bias" || t.first == "conv_out.bias";
  });
  for (auto& [name, tensor] : tensors_) {
    if (name == "conv_in.weight") tensor = at::zeros({8, 5, 3, 3});
    if (name == "conv_norm_out.weight") tensor = at::zeros({8}, at::kLong);
  }
  tensors_.emplace_back("lora.weight", at::zeros({1}));
  save("diffusion_pytorch_model.safetensors", tensors_);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("2 missing tensor(s): "), HasSubstr("conv_in.bias"),
                               HasSubstr("conv_out.bias"), HasSubstr("2 wrong tensor(s): "),
                               HasSubstr("conv_in.weight [8, 5, 3, 3] instead of [8, 4, 3, 3]"),
                               HasSubstr("conv_norm_out.weight has dtype I64"),
                               HasSubstr("1 unexpected tensor(s): lora.weight")));
}

TEST_F(checkpoint_test, refuses_damaged_pickles_and_empty_folders) {
  EXPECT_THAT(refusal(), HasSubstr("no diffusion_pytorch_model.safetensors"));
  std::ofstream(folder_ / "diffusion_pytorch_model.bin") << "x";
  EXPECT_THAT(refusal(), HasSubstr("diffusion_pytorch_model.bin: expected a ZIP archive"));
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(refusal(), HasSubstr("config.json"));
}

}  // namespace
}  // namespace lp::engine
