// SPDX-License-Identifier: MIT
// The names of the original Stable Diffusion code (CompVis, Stability AI) and of OpenCLIP, and what
// Diffusers and transformers call the same tensors.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "pipelines/engine/single_file.hpp"

namespace lp::engine {

namespace {

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// A number and the dot behind it.
std::optional<int> take_number(std::string_view& text) {
  int n = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), n);
  if (read.ec != std::errc() || read.ptr == text.data() + text.size() || *read.ptr != '.')
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()) + 1);
  return n;
}

using renaming = std::pair<std::string_view, std::string_view>;

template <std::size_t N>
std::string renamed(std::string_view text, const std::array<renaming, N>& table) {
  for (const auto& [from, to] : table) {
    if (text.starts_with(from)) return std::string(to) + std::string(text.substr(from.size()));
  }
  return std::string(text);
}

constexpr std::array<renaming, 6> residual = {{{"in_layers.0.", "norm1."},
                                               {"in_layers.2.", "conv1."},
                                               {"emb_layers.1.", "time_emb_proj."},
                                               {"out_layers.0.", "norm2."},
                                               {"out_layers.3.", "conv2."},
                                               {"skip_connection.", "conv_shortcut."}}};

constexpr std::array<renaming, 9> unet_ends = {{
    {"input_blocks.0.0.", "conv_in."},
    {"time_embed.0.", "time_embedding.linear_1."},
    {"time_embed.2.", "time_embedding.linear_2."},
    {"label_emb.0.0.", "add_embedding.linear_1."},
    {"label_emb.0.2.", "add_embedding.linear_2."},
    {"label_emb.weight", "class_embedding.weight"},
    {"out.0.", "conv_norm_out."},
    {"out.2.", "conv_out."},
    {"middle_block.1.", "mid_block.attentions.0."},
}};

constexpr std::array<renaming, 5> vae_attention = {{{"norm.", "group_norm."},
                                                    {"q.", "to_q."},
                                                    {"k.", "to_k."},
                                                    {"v.", "to_v."},
                                                    {"proj_out.", "to_out.0."}}};

constexpr std::array<renaming, 1> vae_residual = {{{"nin_shortcut.", "conv_shortcut."}}};

constexpr std::array<renaming, 5> open_clip_layer = {{{"attn.out_proj.", "self_attn.out_proj."},
                                                      {"ln_1.", "layer_norm1."},
                                                      {"ln_2.", "layer_norm2."},
                                                      {"mlp.c_fc.", "mlp.fc1."},
                                                      {"mlp.c_proj.", "mlp.fc2."}}};

constexpr std::array<renaming, 3> open_clip_ends = {
    {{"token_embedding.", "text_model.embeddings.token_embedding."},
     {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
     {"ln_final.", "text_model.final_layer_norm."}}};

/// A block of the way down or up: which level, which place in it, and what the rest means.
std::string unet_block(std::string_view rest, int index, int blocks, bool down) {
  const auto part = take_number(rest);
  if (!part) return {};
  const int in_level = blocks + 1;
  const int level = (down ? index - 1 : index) / in_level;
  const int place = (down ? index - 1 : index) % in_level;
  const auto at = fmt::format("{}_blocks.{}.", down ? "down" : "up", level);
  if (take(rest, "op.")) return at + "downsamplers.0.conv." + std::string(rest);
  if (take(rest, "conv.")) return at + "upsamplers.0.conv." + std::string(rest);
  if (*part == 0) return fmt::format("{}resnets.{}.{}", at, place, renamed(rest, residual));
  return fmt::format("{}attentions.{}.{}", at, place, rest);
}

stored_tensor reshaped(const stored_tensor& from, std::vector<std::int64_t> shape) {
  auto out = from;
  out.shape = shape;
  out.load = [load = from.load, shape]() -> result<at::Tensor> {
    auto loaded = load();
    if (!loaded) return loaded;
    return loaded->reshape(shape);
  };
  return out;
}

stored_tensor transposed(const stored_tensor& from) {
  auto out = from;
  std::reverse(out.shape.begin(), out.shape.end());
  out.load = [load = from.load]() -> result<at::Tensor> {
    auto loaded = load();
    if (!loaded) return loaded;
    return loaded->t().contiguous();
  };
  return out;
}

/// The part `which` of three that lie one below the other.
stored_tensor third(const stored_tensor& from, int which) {
  auto out = from;
  out.shape[0] /= 3;
  out.load = [load = from.load, rows = out.shape[0], which]() -> result<at::Tensor> {
    auto loaded = load();
    if (!loaded) return loaded;
    return loaded->narrow(0, rows * which, rows);
  };
  return out;
}

void add_open_clip(std::string_view name, const stored_tensor& tensor, stored_tensors& out) {
  if (name == "logit_scale" || name == "attn_mask") return;
  if (name == "text_projection") {
    out["text_projection.weight"] = transposed(tensor);
    return;
  }
  if (!take(name, "transformer.resblocks.")) {
    out[renamed(name, open_clip_ends)] = tensor;
    return;
  }
  const auto layer = take_number(name);
  if (!layer) return;
  const auto at = fmt::format("text_model.encoder.layers.{}.", *layer);
  if (!take(name, "attn.in_proj_")) {
    out[at + renamed(name, open_clip_layer)] = tensor;
    return;
  }
  if (tensor.shape.empty() || tensor.shape[0] % 3 != 0) return;
  for (int i = 0; i < 3; ++i)
    out[fmt::format("{}self_attn.{}_proj.{}", at, "qkv"[i], name)] = third(tensor, i);
}

void add_vae(std::string_view name, const stored_tensor& tensor, std::size_t levels,
             stored_tensors& out) {
  const auto to = diffusers_vae_name(std::string(name), levels);
  const bool as_matrix = to.find(".attentions.") != to.npos && tensor.shape.size() == 4;
  out[to] = as_matrix ? reshaped(tensor, {tensor.shape[0], tensor.shape[1]}) : tensor;
}

/// What trainers save beside the components: schedules, averaged copies, words about the training.
bool is_usual_beside(std::string_view name) {
  constexpr std::array<std::string_view, 12> exact = {"betas",
                                                      "v_pred",
                                                      "ztsnr",
                                                      "logvar",
                                                      "scale_factor",
                                                      "global_step",
                                                      "denoiser.sigmas",
                                                      "cond_stage_model.logit_scale",
                                                      "conditioner.embedders.0.logit_scale",
                                                      "conditioner.embedders.1.logit_scale",
                                                      "posterior_mean_coef1",
                                                      "posterior_mean_coef2"};
  constexpr std::array<std::string_view, 7> beginnings = {
      "model_ema.", "alphas_cumprod", "sqrt_", "log_one_minus_", "posterior_", "lvlb_", "loss."};
  return std::find(exact.begin(), exact.end(), name) != exact.end() ||
         std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view b) { return name.starts_with(b); });
}

std::size_t vae_levels(const stored_tensors& original) {
  std::size_t levels = 0;
  while (original.contains(
      fmt::format("first_stage_model.decoder.up.{}.block.0.conv1.weight", levels)))
    ++levels;
  return levels;
}

}  // namespace

std::string diffusers_unet_name(const std::string& original, int blocks) {
  std::string_view rest = original;
  for (const auto& [from, to] : unet_ends) {
    if (rest.starts_with(from)) return std::string(to) + std::string(rest.substr(from.size()));
  }
  if (take(rest, "middle_block.0.")) return "mid_block.resnets.0." + renamed(rest, residual);
  if (take(rest, "middle_block.2.")) return "mid_block.resnets.1." + renamed(rest, residual);
  const bool down = take(rest, "input_blocks.");
  if (!down && !take(rest, "output_blocks.")) return {};
  const auto index = take_number(rest);
  return index ? unet_block(rest, *index, blocks, down) : std::string();
}

std::string diffusers_vae_name(const std::string& original, std::size_t levels) {
  std::string_view rest = original;
  const bool encoder = take(rest, "encoder.");
  if (!encoder && !take(rest, "decoder.")) return original;
  const std::string side = encoder ? "encoder." : "decoder.";
  if (take(rest, "norm_out.")) return side + "conv_norm_out." + std::string(rest);
  if (take(rest, "mid.attn_1."))
    return side + "mid_block.attentions.0." + renamed(rest, vae_attention);
  for (const int i : {1, 2}) {
    if (take(rest, fmt::format("mid.block_{}.", i)))
      return fmt::format("{}mid_block.resnets.{}.{}", side, i - 1, renamed(rest, vae_residual));
  }
  const bool down = take(rest, "down.");
  if (!down && !take(rest, "up.")) return original;
  const auto number = take_number(rest);
  if (!number) return original;
  const auto level = down ? *number : static_cast<int>(levels) - 1 - *number;
  const auto at = fmt::format("{}{}_blocks.{}.", side, down ? "down" : "up", level);
  if (take(rest, "downsample.conv.")) return at + "downsamplers.0.conv." + std::string(rest);
  if (take(rest, "upsample.conv.")) return at + "upsamplers.0.conv." + std::string(rest);
  if (!take(rest, "block.")) return original;
  const auto block = take_number(rest);
  return block ? fmt::format("{}resnets.{}.{}", at, *block, renamed(rest, vae_residual)) : original;
}

renamed_checkpoint rename_original(const stored_tensors& original) {
  renamed_checkpoint out;
  const auto levels = vae_levels(original);
  int blocks = 0;
  // Down-samplers tell how many residual blocks a level has.
  for (int i = 1; i < 16 && blocks == 0; ++i) {
    if (original.contains(fmt::format("model.diffusion_model.input_blocks.{}.0.op.weight", i)))
      blocks = i - 1;
  }
  if (blocks == 0) blocks = 2;
  for (const auto& [name, tensor] : original) {
    std::string_view rest = name;
    if (take(rest, "model.diffusion_model.")) {
      if (auto to = diffusers_unet_name(std::string(rest), blocks); !to.empty())
        out.unet[to] = tensor;
      else
        out.left_out.push_back(name);
    } else if (take(rest, "first_stage_model.")) {
      add_vae(rest, tensor, levels, out.vae);
    } else if (take(rest, "cond_stage_model.transformer.") ||
               take(rest, "conditioner.embedders.0.transformer.")) {
      const bool bare = !rest.starts_with("text_model.");
      out.text[(bare ? "text_model." : "") + std::string(rest)] = tensor;
    } else if (take(rest, "cond_stage_model.model.")) {
      add_open_clip(rest, tensor, out.text);
    } else if (take(rest, "conditioner.embedders.1.model.")) {
      add_open_clip(rest, tensor, out.text_2);
    } else if (!is_usual_beside(name)) {
      out.left_out.push_back(name);
    }
  }
  return out;
}

}  // namespace lp::engine
