// SPDX-License-Identifier: MIT
// Facts about the networks that need no reference: gradients reach every weight, and the paths with
// and without gradients agree.
#include <cmath>
#include <functional>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "pipelines/engine/attention.hpp"
#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/unet.hpp"

namespace lp::engine {
namespace {

using testing::HasSubstr;

at::Tensor random(at::IntArrayRef shape, std::uint64_t seed = 1) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kFloat);
}

boost::json::object object(const char* text) {
  return boost::json::parse(text).as_object();
}

constexpr const char* small_unet = R"({
  "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
  "attention_head_dim": 2, "cross_attention_dim": 12,
  "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"]})";
constexpr const char* small_autoencoder = R"({
  "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
  "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
  "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"]})";
constexpr const char* small_text = R"({
  "vocab_size": 50, "hidden_size": 12, "intermediate_size": 24, "num_hidden_layers": 2,
  "num_attention_heads": 2, "max_position_embeddings": 9, "eos_token_id": 49})";

/// A scalar of the output whose gradient is not zero by symmetry.
at::Tensor loss_of(const at::Tensor& y) {
  return (y * random(y.sizes(), 77)).sum();
}

void expect_gradients(const random_parameters& source, const at::Tensor& y) {
  loss_of(y).backward();
  for (const auto& [name, tensor] : source.tensors()) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_TRUE(at::isfinite(tensor.grad()).all().item<bool>()) << name;
    // A bias before a softmax over keys moves nothing, so keys may have a gradient of zero.
    const bool key_bias = name.ends_with("k_proj.bias") || name.ends_with("to_k.bias");
    EXPECT_TRUE(key_bias || tensor.grad().abs().max().item<double>() > 0) << name;
  }
}

void expect_same_without_gradients(const std::function<at::Tensor()>& run) {
  const auto with = run().detach().clone();
  const c10::InferenceMode inference;
  EXPECT_LT((run() - with).abs().max().item<double>(), 1e-4);
}

TEST(unet, gradients_reach_every_weight) {
  random_parameters source({.seed = 3});
  const unet net(*parse_unet_config(object(small_unet)), scope(source));
  const unet_input in{.sample = random({2, 4, 7, 6}),
                      .timestep = at::arange(2) * 100,
                      .encoder_hidden_states = random({2, 5, 12})};
  const auto run = [&] { return net(in); };
  expect_gradients(source, run());
  expect_same_without_gradients(run);
}

TEST(unet, a_step_of_training_is_seen_by_the_network) {
  random_parameters source({.seed = 3});
  const unet net(*parse_unet_config(object(small_unet)), scope(source));
  const unet_input in{.sample = random({1, 4, 8, 8}),
                      .timestep = at::zeros({1}),
                      .encoder_hidden_states = random({1, 5, 12})};
  const auto before = loss_of(net(in));
  for (int i = 0; i < 2; ++i) {
    loss_of(net(in)).backward();
    const c10::AutoGradMode no_grad(false);
    for (const auto& [name, tensor] : source.tensors()) {
      at::Tensor(tensor).sub_(tensor.grad() * 1e-4);
      at::Tensor(tensor).mutable_grad().zero_();
    }
  }
  EXPECT_LT(loss_of(net(in)).item<double>(), before.item<double>());
}

TEST(unet, inputs_stay_as_they_were) {
  random_parameters source({.seed = 3, .requires_grad = false});
  const unet net(*parse_unet_config(object(small_unet)), scope(source));
  const unet_input in{.sample = random({1, 4, 8, 8}),
                      .timestep = at::zeros({1}),
                      .encoder_hidden_states = random({1, 5, 12})};
  const auto sample = in.sample.clone(), text = in.encoder_hidden_states.clone();
  const c10::InferenceMode inference;
  net(in);
  EXPECT_TRUE(at::equal(in.sample, sample));
  EXPECT_TRUE(at::equal(in.encoder_hidden_states, text));
}

TEST(unet, packed_weights_give_the_same) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    random_parameters source({.seed = 3, .dtype = dtype, .requires_grad = false});
    unet net(*parse_unet_config(object(small_unet)), scope(source));
    const unet_input in{.sample = random({2, 4, 9, 8}),
                        .timestep = at::full({1}, 30),
                        .encoder_hidden_states = random({2, 5, 12})};
    const c10::InferenceMode inference;
    const auto before = net(in);
    net.pack();
    EXPECT_LT((net(in) - before).abs().max().item<double>(), dtype == at::kFloat ? 1e-5 : 0.05);
  }
}

TEST(unet, weights_in_training_stay_as_they_are) {
  random_parameters source({.seed = 3});
  unet net(*parse_unet_config(object(small_unet)), scope(source));
  net.pack();
  const unet_input in{.sample = random({1, 4, 8, 8}),
                      .timestep = at::zeros({1}),
                      .encoder_hidden_states = random({1, 5, 12})};
  expect_gradients(source, net(in));
}

TEST(unet, configurations_that_cannot_be_honoured_are_refused) {
  const auto refusal = [](const char* key, boost::json::value value) {
    auto config = object(small_unet);
    config[key] = std::move(value);
    const auto parsed = parse_unet_config(config);
    return parsed ? std::string() : parsed.error().message;
  };
  EXPECT_EQ(refusal("in_channels", 4), "");
  EXPECT_THAT(refusal("in_channels", "four"), HasSubstr("in_channels"));
  EXPECT_THAT(refusal("block_out_channels", {8, 18}), HasSubstr("block_out_channels"));
  EXPECT_THAT(refusal("block_out_channels", boost::json::array{}), HasSubstr("block_out_channels"));
  EXPECT_THAT(refusal("attention_head_dim", {3, 3}), HasSubstr("attention_head_dim"));
  EXPECT_THAT(refusal("layers_per_block", {1, 1, 1}), HasSubstr("layers_per_block"));
  EXPECT_THAT(refusal("norm_num_groups", 0), HasSubstr("norm_num_groups"));
  EXPECT_THAT(refusal("down_block_types", {"DownBlock2D", "AttnDownBlock2D"}),
              HasSubstr("down_block_types"));
  EXPECT_THAT(refusal("encoder_hid_dim", 7), HasSubstr("encoder_hid_dim"));
  EXPECT_THAT(refusal("resnet_time_scale_shift", "scale_shift"),
              HasSubstr("resnet_time_scale_shift"));
}

TEST(autoencoder_kl, gradients_reach_every_weight) {
  random_parameters source({.seed = 4});
  const autoencoder_kl net(*parse_autoencoder_kl_config(object(small_autoencoder)), scope(source));
  const auto picture = random({2, 3, 8, 12});
  const auto run = [&] {
    const auto posterior = latent_distribution::from_moments(net.encode(picture));
    return net.decode(posterior.sample(at::make_generator<at::CPUGeneratorImpl>(5)));
  };
  EXPECT_EQ(run().sizes(), picture.sizes());
  expect_gradients(source, run());
  expect_same_without_gradients(run);
}

TEST(autoencoder_kl, small_pictures_are_not_tiled) {
  random_parameters source({.seed = 4, .requires_grad = false});
  const autoencoder_kl net(*parse_autoencoder_kl_config(object(small_autoencoder)), scope(source));
  const tiling tiles{.sample_size = 16, .latent_size = 8};
  const c10::InferenceMode inference;
  const auto small = random({1, 4, 8, 8}), wide = random({1, 4, 8, 20});
  EXPECT_TRUE(at::equal(net.decode_tiled(small, tiles), net.decode(small)));
  EXPECT_EQ(net.decode_tiled(wide, tiles).sizes(), net.decode(wide).sizes());
  EXPECT_EQ(net.encode_tiled(random({1, 3, 16, 40}), tiles).sizes(),
            (std::vector<std::int64_t>{1, 8, 8, 20}));
}

TEST(clip_text, gradients_reach_every_weight) {
  random_parameters source({.seed = 5});
  const clip_text net(*parse_clip_text_config(object(small_text)), scope(source));
  const auto ids = at::arange(18).view({2, 9});
  const auto run = [&] { return net(ids).last_hidden_state; };
  expect_gradients(source, run());
  expect_same_without_gradients(run);
}

TEST(clip_text, later_tokens_do_not_reach_earlier_ones) {
  random_parameters source({.seed = 5, .requires_grad = false});
  const clip_text net(*parse_clip_text_config(object(small_text)), scope(source));
  auto ids = at::arange(9).view({1, 9});
  const auto before = net(ids).last_hidden_state.narrow(1, 0, 8);
  ids[0][8] = 40;
  EXPECT_TRUE(at::allclose(net(ids).last_hidden_state.narrow(1, 0, 8), before));
}

TEST(clip_text, pools_at_the_first_end_of_text) {
  random_parameters source({.seed = 5, .requires_grad = false});
  const clip_text net(*parse_clip_text_config(object(small_text)), scope(source));
  const auto ids = at::tensor({1, 49, 3, 49}, at::kLong).view({1, 4});
  const auto out = net(ids);
  EXPECT_TRUE(at::equal(out.pooled[0], out.last_hidden_state[0][1]));
  EXPECT_EQ(out.hidden_states.size(), 3u);
  EXPECT_TRUE(at::equal(net.final_norm(out.hidden_states.back()), out.last_hidden_state));
}

TEST(random_parameters, depend_on_the_seed_alone) {
  const auto weights = [](std::uint64_t seed) {
    random_parameters source({.seed = seed});
    return scope(source).take("conv.weight", {4, 3, 3, 3});
  };
  EXPECT_TRUE(at::equal(weights(1), weights(1)));
  EXPECT_FALSE(at::equal(weights(1), weights(2)));
  EXPECT_TRUE(weights(1).requires_grad() && weights(1).is_leaf());
}

}  // namespace
}  // namespace lp::engine
