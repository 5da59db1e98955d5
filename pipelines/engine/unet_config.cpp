// SPDX-License-Identifier: MIT
#include "pipelines/engine/unet_config.hpp"

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "pipelines/engine/config_reader.hpp"

namespace lp::engine {

namespace {

constexpr std::int64_t max_layers = 64;
constexpr std::int64_t max_channels = 1 << 14;

/// Features of the class that none of the supported models uses.
void refuse_unsupported(config_reader& in) {
  for (const auto* key :
       {"dual_cross_attention", "encoder_hid_dim", "encoder_hid_dim_type", "resnet_skip_time_act",
        "time_embedding_act_fn", "timestep_post_act", "class_embeddings_concat",
        "cross_attention_norm", "reverse_transformer_layers_per_block", "time_embedding_dim"})
    in.must_be_unset(key);
  const auto only = [&](std::string_view key, std::string_view value) {
    if (in.text(key, value) != value) in.reject(key, fmt::format("\"{}\"", value));
  };
  only("resnet_time_scale_shift", "default");
  only("time_embedding_type", "positional");
  only("attention_type", "default");
  if (in.integer("conv_in_kernel", 3) != 3) in.reject("conv_in_kernel", "3");
  if (in.integer("conv_out_kernel", 3) != 3) in.reject("conv_out_kernel", "3");
  if (in.integer("downsample_padding", 1) != 1) in.reject("downsample_padding", "1");
  if (in.number("mid_block_scale_factor", 1) != 1) in.reject("mid_block_scale_factor", "1");
  if (in.number("resnet_out_scale_factor", 1) != 1) in.reject("resnet_out_scale_factor", "1");
  const auto act = in.text("act_fn", "silu");
  if (act != "silu" && act != "swish") in.reject("act_fn", "\"silu\"");
}

/// Whether each block of that direction has attention.
std::vector<bool> block_attention(config_reader& in, std::string_view key, std::size_t count,
                                  std::string_view plain, std::string_view crossed) {
  const auto types = in.texts(key);
  if (types.size() != count)
    in.reject(key, fmt::format("a list of {} blocks, as block_out_channels has", count));
  std::vector<bool> attention;
  for (const auto& type : types) {
    if (type != plain && type != crossed)
      in.reject(key, fmt::format("made of \"{}\" and \"{}\"", plain, crossed));
    attention.push_back(type == crossed);
  }
  attention.resize(count);
  return attention;
}

void read_levels(config_reader& in, unet_config& c) {
  const auto channels = in.integers("block_out_channels", 0, 0, 1, max_channels);
  const auto n = channels.size();
  if (n == 0 || n > 16) return in.reject("block_out_channels", "a list of 1 to 16 integers");
  const auto layers = in.integers("layers_per_block", n, 2, 1, max_layers);
  const auto depth = in.integers("transformer_layers_per_block", n, 1, 1, max_layers);
  // attention_head_dim holds the number of heads: an old misnomer that the files live with.
  const auto heads =
      in.integers(in.is_unset("num_attention_heads") ? "attention_head_dim" : "num_attention_heads",
                  n, 8, 1, max_channels);
  const auto context = in.integers("cross_attention_dim", n, 1280, 1, max_channels);
  const auto only_cross = in.booleans("only_cross_attention", n, false);
  const auto down =
      block_attention(in, "down_block_types", n, "DownBlock2D", "CrossAttnDownBlock2D");
  const auto up = block_attention(in, "up_block_types", n, "UpBlock2D", "CrossAttnUpBlock2D");
  for (std::size_t i = 0; i < n; ++i) {
    if (channels[i] % c.norm_num_groups != 0)
      in.reject("block_out_channels", fmt::format("multiples of {} groups", c.norm_num_groups));
    if ((down[i] || up[n - 1 - i]) && channels[i] % heads[i] != 0)
      in.reject("attention_head_dim", "numbers of heads that divide block_out_channels");
    c.levels.push_back({channels[i], layers[i], depth[i], heads[i], context[i], bool(only_cross[i]),
                        bool(down[i]), bool(up[n - 1 - i])});
  }
}

void read_conditioning(config_reader& in, unet_config& c) {
  c.time_cond_proj_dim = in.integer("time_cond_proj_dim", 0, 0, max_channels);
  c.num_class_embeds = in.integer("num_class_embeds", 0);
  c.addition_time_embed_dim = in.integer("addition_time_embed_dim", 0, 0, max_channels);
  c.projection_class_embeddings_input_dim =
      in.integer("projection_class_embeddings_input_dim", 0, 0, max_channels);
  const auto type = in.text("class_embed_type", "");
  if (type == "timestep")
    c.class_embed = class_embedding::timestep;
  else if (type == "identity")
    c.class_embed = class_embedding::identity;
  else if (type == "projection")
    c.class_embed = class_embedding::projection;
  else if (type.empty() && c.num_class_embeds > 0)
    c.class_embed = class_embedding::table;
  else if (!type.empty())
    in.reject("class_embed_type", "timestep, identity or projection");
  const auto addition = in.text("addition_embed_type", "");
  c.text_time = addition == "text_time";
  if (!c.text_time && !addition.empty()) in.reject("addition_embed_type", "\"text_time\"");
  if (c.text_time && c.addition_time_embed_dim == 0)
    in.reject("addition_time_embed_dim", "given with text_time");
  if ((c.text_time || c.class_embed == class_embedding::projection) &&
      c.projection_class_embeddings_input_dim == 0)
    in.reject("projection_class_embeddings_input_dim", "given");
}

}  // namespace

result<unet_config> parse_unet_config(const boost::json::object& config) {
  config_reader in(config, "unet config.json");
  unet_config c;
  if (in.text("_class_name", "UNet2DConditionModel") != "UNet2DConditionModel")
    in.reject("_class_name", "\"UNet2DConditionModel\"");
  c.in_channels = in.integer("in_channels", 4, 1, max_channels);
  c.out_channels = in.integer("out_channels", 4, 1, max_channels);
  const auto sides = in.integers("sample_size", 0, 0, 1);
  c.sample_size = sides.empty() ? in.integer("sample_size", 64, 1) : sides.front();
  c.norm_num_groups = in.integer("norm_num_groups", 32, 1, max_channels);
  c.norm_eps = in.number("norm_eps", 1e-5);
  c.center_input_sample = in.boolean("center_input_sample", false);
  c.flip_sin_to_cos = in.boolean("flip_sin_to_cos", true);
  c.freq_shift = in.number("freq_shift", 0);
  c.use_linear_projection = in.boolean("use_linear_projection", false);
  refuse_unsupported(in);
  read_levels(in, c);
  read_conditioning(in, c);
  // Without a word of its own the middle follows a plain true, but not a list.
  const bool all_cross =
      !in.is_list("only_cross_attention") && in.boolean("only_cross_attention", false);
  c.mid_only_cross_attention = in.boolean("mid_block_only_cross_attention", all_cross);
  c.mid_block = !in.is_null("mid_block_type");
  if (in.text("mid_block_type", "UNetMidBlock2DCrossAttn") != "UNetMidBlock2DCrossAttn")
    in.reject("mid_block_type", "\"UNetMidBlock2DCrossAttn\" or null");
  if (auto ok = in.check(); !ok) return fail(ok.error());
  return c;
}

}  // namespace lp::engine
