// SPDX-License-Identifier: MIT
// What conditions the UNet's residual blocks: time, and for some models guidance, class or sizes.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>

#include "pipelines/engine/unet.hpp"

namespace lp::engine {

namespace {

/// Two linear layers around silu; computes in the input's fp32.
at::Tensor mlp(const nn::linear& first, const nn::linear& second, const at::Tensor& x) {
  return second(nn::silu(first(x)));
}

}  // namespace

unet::embeddings::embeddings(const unet_config& c, const scope& at)
    : time1(at / "time_embedding" / "linear_1", c.levels.front().channels, c.time_embed_dim()),
      time2(at / "time_embedding" / "linear_2", c.time_embed_dim(), c.time_embed_dim()) {
  const auto size = c.time_embed_dim();
  if (c.time_cond_proj_dim != 0)
    time_cond.emplace(at / "time_embedding" / "cond_proj", c.time_cond_proj_dim,
                      c.levels.front().channels, false);
  if (c.class_embed == class_embedding::table)
    class_table.emplace(at / "class_embedding", c.num_class_embeds, size);
  if (c.class_embed == class_embedding::timestep || c.class_embed == class_embedding::projection) {
    const auto in = c.class_embed == class_embedding::timestep
                        ? c.levels.front().channels
                        : c.projection_class_embeddings_input_dim;
    class1.emplace(at / "class_embedding" / "linear_1", in, size);
    class2.emplace(at / "class_embedding" / "linear_2", size, size);
  }
  if (c.text_time) {
    add1.emplace(at / "add_embedding" / "linear_1", c.projection_class_embeddings_input_dim, size);
    add2.emplace(at / "add_embedding" / "linear_2", size, size);
  }
}

at::Tensor unet::embeddings::operator()(const unet_config& c, const unet_input& in) const {
  const auto times = in.timestep.reshape({-1}).expand({in.sample.size(0)});
  auto x =
      nn::timestep_embedding(times, c.levels.front().channels, c.flip_sin_to_cos, c.freq_shift);
  if (time_cond && in.timestep_cond.defined())
    x = x + (*time_cond)(in.timestep_cond.to(at::kFloat));
  x = mlp(time1, time2, x);
  if (c.class_embed != class_embedding::none) x = x + of_class(c, in.class_labels);
  if (c.text_time) x = x + of_text_time(c, in);
  return x;
}

at::Tensor unet::embeddings::of_class(const unet_config& c, const at::Tensor& labels) const {
  TORCH_CHECK(labels.defined(), "unet: this configuration needs class_labels");
  if (class_table) return (*class_table)(labels).to(at::kFloat);
  if (c.class_embed == class_embedding::identity) return labels.to(at::kFloat);
  const auto x = c.class_embed == class_embedding::timestep
                     ? nn::timestep_embedding(labels, c.levels.front().channels, c.flip_sin_to_cos,
                                              c.freq_shift)
                     : labels.to(at::kFloat);
  return mlp(*class1, *class2, x);
}

at::Tensor unet::embeddings::of_text_time(const unet_config& c, const unet_input& in) const {
  TORCH_CHECK(in.text_embeds.defined() && in.time_ids.defined(),
              "unet: this configuration needs text_embeds and time_ids");
  const auto sizes = nn::timestep_embedding(in.time_ids.flatten(), c.addition_time_embed_dim,
                                            c.flip_sin_to_cos, c.freq_shift)
                         .reshape({in.text_embeds.size(0), -1});
  return mlp(*add1, *add2, at::cat(at::TensorList{in.text_embeds.to(at::kFloat), sizes}, -1));
}

}  // namespace lp::engine
