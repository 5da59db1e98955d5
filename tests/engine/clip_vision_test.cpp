// SPDX-License-Identifier: MIT
// CLIP's picture encoder against a plain one, and what is done to a picture before.
#include "pipelines/engine/clip_vision.hpp"

#include <cmath>
#include <map>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <boost/json.hpp>

#include "pipelines/engine/clip_image_processor.hpp"
#include "tests/engine/random_tensors.hpp"

namespace lp::engine {
namespace {

using testing::HasSubstr;

boost::json::object object(const std::string& text) {
  return boost::json::parse(text).as_object();
}

using row = std::vector<double>;
using matrix = std::vector<row>;

/// The definition with loops, in double precision.
class plain_encoder {
 public:
  plain_encoder(std::map<std::string, at::Tensor> tensors, clip_vision_config config)
      : tensors_(std::move(tensors)), c_(config) {}

  /// `picture` [3, side, side] -> the embedding.
  row embed(const at::Tensor& picture) const {
    matrix x = tokens(picture);
    for (auto& token : x) token = norm(token, "vision_model.pre_layrnorm");
    for (int i = 0; i < c_.num_hidden_layers; ++i)
      x = layer(x, "vision_model.encoder.layers." + std::to_string(i) + ".");
    return product(norm(x[0], "vision_model.post_layernorm"), "visual_projection");
  }

 private:
  row values(const std::string& name) const {
    const auto t = tensors_.at(name).to(at::kDouble).contiguous().flatten();
    return {t.data_ptr<double>(), t.data_ptr<double>() + t.numel()};
  }
  row product(const row& x, const std::string& name) const {
    const auto w = values(name + ".weight");
    row out = tensors_.contains(name + ".bias") ? values(name + ".bias") : row(w.size() / x.size());
    for (std::size_t o = 0; o < out.size(); ++o)
      for (std::size_t i = 0; i < x.size(); ++i) out[o] += w[o * x.size() + i] * x[i];
    return out;
  }
  row norm(const row& x, const std::string& name) const {
    double mean = 0, square = 0;
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) square += (v - mean) * (v - mean) / static_cast<double>(x.size());
    const auto w = values(name + ".weight"), b = values(name + ".bias");
    row out;
    for (std::size_t i = 0; i < x.size(); ++i)
      out.push_back((x[i] - mean) / std::sqrt(square + c_.layer_norm_eps) * w[i] + b[i]);
    return out;
  }
  matrix tokens(const at::Tensor& picture) const {
    const std::string at = "vision_model.embeddings.";
    matrix out{values(at + "class_embedding")};
    const auto kernel = tensors_.at(at + "patch_embedding.weight");
    for (std::int64_t y = 0; y < c_.image_size; y += c_.patch_size) {
      for (std::int64_t x = 0; x < c_.image_size; x += c_.patch_size) {
        const auto patch =
            picture.narrow(1, y, c_.patch_size).narrow(2, x, c_.patch_size).to(at::kDouble);
        row token;
        for (std::int64_t o = 0; o < c_.hidden_size; ++o)
          token.push_back((kernel[o].to(at::kDouble) * patch).sum().item<double>());
        out.push_back(std::move(token));
      }
    }
    const auto places = values(at + "position_embedding.weight");
    for (std::size_t t = 0; t < out.size(); ++t)
      for (std::size_t i = 0; i < out[t].size(); ++i) out[t][i] += places[t * out[t].size() + i];
    return out;
  }
  matrix layer(const matrix& x, const std::string& at) const {
    matrix q, k, v;
    for (const auto& token : x) {
      const auto normed = norm(token, at + "layer_norm1");
      q.push_back(product(normed, at + "self_attn.q_proj"));
      k.push_back(product(normed, at + "self_attn.k_proj"));
      v.push_back(product(normed, at + "self_attn.v_proj"));
    }
    matrix out;
    for (std::size_t t = 0; t < x.size(); ++t) {
      auto h = added(x[t], product(attend(q[t], k, v), at + "self_attn.out_proj"));
      auto inner = product(norm(h, at + "layer_norm2"), at + "mlp.fc1");
      for (double& n : inner) n = n / (1 + std::exp(-1.702 * n));
      out.push_back(added(h, product(inner, at + "mlp.fc2")));
    }
    return out;
  }
  row attend(const row& q, const matrix& k, const matrix& v) const {
    row out(q.size());
    const auto heads = static_cast<std::size_t>(c_.num_attention_heads);
    const std::size_t size = q.size() / heads;
    for (std::size_t head = 0; head < heads; ++head) {
      row share;
      double sum = 0;
      for (const auto& key : k) {
        double dot = 0;
        for (std::size_t i = 0; i < size; ++i) dot += q[head * size + i] * key[head * size + i];
        share.push_back(std::exp(dot / std::sqrt(static_cast<double>(size))));
        sum += share.back();
      }
      for (std::size_t t = 0; t < v.size(); ++t)
        for (std::size_t i = 0; i < size; ++i)
          out[head * size + i] += share[t] / sum * v[t][head * size + i];
    }
    return out;
  }
  static row added(row a, const row& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  }

  std::map<std::string, at::Tensor> tensors_;
  clip_vision_config c_;
};

constexpr const char* small = R"({"hidden_size": 24, "intermediate_size": 40,
  "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32, "patch_size": 8,
  "projection_dim": 10})";

TEST(clip_vision, computes_what_the_definition_says) {
  const c10::InferenceMode no_gradients;
  const auto config = parse_clip_vision_config(object(small)).value();
  random_tensors source(7);
  const clip_vision network(config, scope(source));
  const auto pictures =
      at::randn({2, 3, 32, 32}, at::make_generator<at::CPUGeneratorImpl>(3), at::kFloat);
  const auto got = network(pictures);
  EXPECT_EQ(got.last_hidden_state.sizes(), (std::vector<std::int64_t>{2, 17, 24}));
  ASSERT_EQ(got.image_embeds.sizes(), (std::vector<std::int64_t>{2, 10}));
  const plain_encoder plain(source.made, config);
  for (std::int64_t n = 0; n < 2; ++n) {
    const auto expected = plain.embed(pictures[n]);
    for (std::int64_t i = 0; i < 10; ++i)
      EXPECT_NEAR(got.image_embeds[n][i].item<float>(), expected[static_cast<std::size_t>(i)],
                  1e-4);
  }
  EXPECT_THROW(network(pictures.narrow(2, 0, 16)), c10::Error);
}

TEST(clip_vision, reads_its_part_of_a_whole_models_configuration) {
  const auto bare = parse_clip_vision_config({}).value();
  EXPECT_EQ(bare.hidden_size, 768);
  EXPECT_EQ(bare.patch_size, 32);
  EXPECT_EQ(bare.projection_dim, 512);
  EXPECT_EQ(bare.hidden_act, nn::activation::quick_gelu);
  const auto inner = parse_clip_vision_config(object(R"({"projection_dim": 96, "hidden_size": 5,
                 "vision_config": {"hidden_size": 64, "num_attention_heads": 4,
                                   "projection_dim": 7, "patch_size": 16,
                                   "hidden_act": "gelu"}})"));
  ASSERT_TRUE(inner) << inner.error().message;
  EXPECT_EQ(inner->hidden_size, 64);
  EXPECT_EQ(inner->projection_dim, 96);
  EXPECT_EQ(inner->hidden_act, nn::activation::gelu);
  const auto older =
      parse_clip_vision_config(object(R"({"vision_config": {"patch_size": 32, "image_size": 64},
                 "vision_config_dict": {"patch_size": 14}})"))
          .value();
  EXPECT_EQ(older.patch_size, 14);
  EXPECT_EQ(older.image_size, 64);
  EXPECT_EQ(older.patches(), 16);
  EXPECT_EQ(older.projection_dim, 512);
}

TEST(clip_vision, names_the_wrong_member) {
  for (const auto& [text, member] :
       {std::pair{R"({"num_attention_heads": 7})", "num_attention_heads"},
        std::pair{R"({"hidden_act": "tanh"})", "hidden_act"},
        std::pair{R"({"num_channels": 1})", "num_channels"},
        std::pair{R"({"vision_config": {"hidden_size": "x"}})", "hidden_size"},
        std::pair{R"({"image_size": 16})", "patch_size"}}) {
    const auto config = parse_clip_vision_config(object(text));
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code, ec::bad_file);
    EXPECT_THAT(config.error().message, HasSubstr(member));
  }
}

/// Columns of one colour each: red is the column's number, blue 255.
pipelines::rgb_image columns(std::uint32_t width, std::uint32_t height) {
  pipelines::rgb_image p{width, height, {}};
  for (std::uint32_t i = 0; i < width * height; ++i) {
    p.pixels += static_cast<char>(i % width);
    p.pixels += '\0';
    p.pixels += static_cast<char>(255);
  }
  return p;
}

TEST(clip_image_processor, cuts_out_the_middle_and_normalises) {
  const auto config = parse_clip_image_config(object(R"({"size": 8, "crop_size": 8,
      "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.25, 0.5]})"))
                          .value();
  const auto out = process_clip_image(columns(21, 8), config).value();
  ASSERT_EQ(out.sizes(), (std::vector<std::int64_t>{1, 3, 8, 8}));
  for (int x = 0; x < 8; ++x)
    EXPECT_FLOAT_EQ(out[0][0][5][x].item<float>(), static_cast<float>((6 + x) / 127.5 - 1));
  EXPECT_FLOAT_EQ(out[0][1][0][0].item<float>(), -2);
  EXPECT_FLOAT_EQ(out[0][2][0][0].item<float>(), 1);
}

TEST(clip_image_processor, brings_the_shorter_side_to_size) {
  const auto config = parse_clip_image_config(
      object(R"({"size": {"shortest_edge": 10}, "do_center_crop": false})"));
  EXPECT_EQ(process_clip_image(columns(40, 20), *config)->sizes(),
            (std::vector<std::int64_t>{1, 3, 10, 20}));
  EXPECT_EQ(process_clip_image(columns(20, 33), *config)->sizes(),
            (std::vector<std::int64_t>{1, 3, 16, 10}));
  const auto exact = parse_clip_image_config(
      object(R"({"size": {"height": 6, "width": 9}, "crop_size": {"height": 4, "width": 5}})"));
  EXPECT_EQ(process_clip_image(columns(40, 20), *exact)->sizes(),
            (std::vector<std::int64_t>{1, 3, 4, 5}));
  const auto whole = parse_clip_image_config(
      object(R"({"do_resize": false, "do_center_crop": false, "do_rescale": false,
                 "do_normalize": false})"));
  EXPECT_EQ(process_clip_image(columns(4, 3), *whole).value()[0][0][2][3].item<float>(), 3);
}

TEST(clip_image_processor, names_what_is_wrong) {
  for (const auto& [text, member] :
       {std::pair{R"({"size": 0})", "size"}, std::pair{R"({"size": {"width": 5}})", "size.height"},
        std::pair{R"({"crop_size": {"width": 5, "height": "5"}})", "crop_size.height"},
        std::pair{R"({"resample": 4})", "resample"},
        std::pair{R"({"image_mean": [1, 2]})", "image_mean"},
        std::pair{R"({"image_std": [1, 0, 1]})", "image_std"}}) {
    const auto config = parse_clip_image_config(object(text));
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code, ec::bad_file);
    EXPECT_THAT(config.error().message, HasSubstr(member));
  }
  const auto large = parse_clip_image_config(object(R"({"size": 8, "crop_size": 9})")).value();
  EXPECT_EQ(process_clip_image(columns(30, 30), large).error().code, ec::invalid_parameters);
  const auto usual = parse_clip_image_config({}).value();
  EXPECT_EQ(process_clip_image(columns(16000, 1), usual).error().code, ec::too_large);
}

}  // namespace
}  // namespace lp::engine
