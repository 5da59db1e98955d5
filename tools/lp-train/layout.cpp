// SPDX-License-Identifier: MIT
#include "tools/lp-train/layout.hpp"

#include <cmath>
#include <fstream>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include "pipelines/engine/safetensors.hpp"

namespace lp::train {
namespace {

using boost::json::array;
using boost::json::object;

constexpr int latent_channels = 8;
constexpr int text_width = 64;

// The configurations are our own: a parser that refuses them is a defect.
template <class T>
T must(result<T> parsed) {
  if (!parsed) throw std::logic_error(render(parsed.error()));
  return *std::move(parsed);
}

// The last layers of residual branches: resnets, the autoencoder's attention, whole transformers of
// the UNet (not the blocks within: two zeros in a row would keep each other), the text's layers.
bool ends_a_residual_branch(std::string_view name) {
  if (name.find("transformer_blocks") != std::string_view::npos) return false;
  for (const auto end : {"conv2.weight", "to_out.0.weight", "proj_out.weight", "out_proj.weight",
                         "mlp.fc2.weight"}) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

// Convolutions keep the size of what passes through them (PyTorch's default has a gain of
// 1/sqrt(3), which a trunk of ten layers turns into nothing).
void prepare(const engine::named_tensors& weights) {
  const at::NoGradGuard no_grad;
  for (auto [name, t] : weights) {
    if (ends_a_residual_branch(name)) {
      t.zero_();
    } else if (t.dim() == 4) {
      t.mul_(std::sqrt(3.0));
    }
  }
}

at::Tensor find(const engine::named_tensors& weights, std::string_view name) {
  for (const auto& [n, t] : weights) {
    if (n == name) return t;
  }
  throw std::logic_error(fmt::format("the autoencoder has no {}", name));
}

result<void> write_json(const std::filesystem::path& file, const object& value) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << boost::json::serialize(value) << '\n';
  if (!out.flush()) return fail(ec::bad_file, fmt::format("cannot write {}", file.string()));
  return {};
}

}  // namespace

object vae_config() {
  return {{"_class_name", "AutoencoderKL"},
          {"act_fn", "silu"},
          {"block_out_channels", array{16, 32, 48, 64}},
          {"down_block_types", array{"DownEncoderBlock2D", "DownEncoderBlock2D",
                                     "DownEncoderBlock2D", "DownEncoderBlock2D"}},
          {"up_block_types",
           array{"UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"}},
          {"in_channels", 3},
          {"out_channels", 3},
          {"latent_channels", latent_channels},
          {"layers_per_block", 1},
          {"norm_num_groups", 8},
          {"sample_size", picture_side},
          {"scaling_factor", 1.0},
          {"mid_block_add_attention", true}};
}

object unet_config() {
  return {{"_class_name", "UNet2DConditionModel"},
          {"act_fn", "silu"},
          {"attention_head_dim", 4},
          {"block_out_channels", array{64, 112}},
          {"down_block_types", array{"CrossAttnDownBlock2D", "CrossAttnDownBlock2D"}},
          {"up_block_types", array{"CrossAttnUpBlock2D", "CrossAttnUpBlock2D"}},
          {"center_input_sample", false},
          {"cross_attention_dim", text_width},
          {"downsample_padding", 1},
          {"flip_sin_to_cos", true},
          {"freq_shift", 0},
          {"in_channels", latent_channels},
          {"out_channels", latent_channels},
          {"layers_per_block", 1},
          {"mid_block_scale_factor", 1},
          {"norm_eps", 1e-5},
          {"norm_num_groups", 16},
          {"sample_size", picture_side / 8},
          {"use_linear_projection", true}};
}

object text_config(std::int64_t vocabulary) {
  return {{"architectures", array{"CLIPTextModel"}},
          {"model_type", "clip_text_model"},
          {"attention_dropout", 0.0},
          {"bos_token_id", vocabulary - 2},
          {"eos_token_id", vocabulary - 1},
          {"pad_token_id", vocabulary - 1},
          {"hidden_act", "quick_gelu"},
          {"hidden_size", text_width},
          {"intermediate_size", 4 * text_width},
          {"layer_norm_eps", 1e-5},
          {"max_position_embeddings", prompt_tokens},
          {"num_attention_heads", 4},
          {"num_hidden_layers", 2},
          {"projection_dim", text_width},
          {"vocab_size", vocabulary}};
}

vae_networks::vae_networks(std::uint64_t seed, at::Device device)
    : source({.seed = seed, .device = device}),
      vae(must(engine::parse_autoencoder_kl_config(vae_config())), engine::scope(source)) {
  prepare(source.tensors());
}

diffusion_networks::diffusion_networks(std::int64_t vocabulary, std::uint64_t seed,
                                       at::Device device)
    : text_source({.seed = seed + 1, .device = device}),
      unet_source({.seed = seed + 2, .device = device}),
      text(must(engine::parse_clip_text_config(text_config(vocabulary))),
           engine::scope(text_source)),
      unet(must(engine::parse_unet_config(unet_config())), engine::scope(unet_source)) {
  prepare(text_source.tensors());
  prepare(unet_source.tensors());
}

engine::named_tensors diffusion_networks::tensors() const {
  engine::named_tensors all;
  for (const auto& [name, t] : text_source.tensors()) all.emplace_back("text_encoder/" + name, t);
  for (const auto& [name, t] : unet_source.tensors()) all.emplace_back("unet/" + name, t);
  return all;
}

void normalise_latent(const engine::named_tensors& weights, const at::Tensor& latents,
                      double noise) {
  const at::NoGradGuard no_grad;
  const auto mean = latents.mean({0, 2, 3});
  auto spread = latents.std({0, 2, 3}, /*unbiased=*/false);
  // A channel that carries next to nothing is not blown up to the others' size.
  spread = at::maximum(spread, spread.mean() * 0.25);
  const auto channels = mean.numel();
  auto in_weight = find(weights, "quant_conv.weight"), in_bias = find(weights, "quant_conv.bias");
  auto out_weight = find(weights, "post_quant_conv.weight");
  auto out_bias = find(weights, "post_quant_conv.bias");
  out_bias.add_(at::mv(out_weight.flatten(1), mean));
  out_weight.mul_(spread.view({1, -1, 1, 1}));
  in_weight.narrow(0, 0, channels).div_(spread.view({-1, 1, 1, 1}));
  in_bias.narrow(0, 0, channels).sub_(mean).div_(spread);
  in_weight.narrow(0, channels, channels).zero_();
  in_bias.narrow(0, channels, channels).copy_(at::log(noise / spread) * 2);
}

result<void> save_component(const std::filesystem::path& folder, const object& config,
                            const engine::named_tensors& weights) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return fail(ec::bad_file, fmt::format("{}: {}", folder.string(), failed.message()));
  if (auto written = write_json(folder / "config.json", config); !written) return written;
  engine::named_tensors half;
  for (const auto& [name, t] : weights) half.emplace_back(name, t.detach().to(at::kHalf));
  const bool transformers = config.contains("architectures");
  const auto file = transformers ? "model.safetensors" : "diffusion_pytorch_model.safetensors";
  return engine::save_safetensors(folder / file, half, {{"format", "pt"}});
}

result<void> save_index(const std::filesystem::path& folder) {
  const object index{{"_class_name", "StableDiffusionPipeline"},
                     {"feature_extractor", array{nullptr, nullptr}},
                     {"image_encoder", array{nullptr, nullptr}},
                     {"requires_safety_checker", false},
                     {"safety_checker", array{nullptr, nullptr}},
                     {"scheduler", array{"diffusers", "DDIMScheduler"}},
                     {"text_encoder", array{"transformers", "CLIPTextModel"}},
                     {"tokenizer", array{"transformers", "CLIPTokenizer"}},
                     {"unet", array{"diffusers", "UNet2DConditionModel"}},
                     {"vae", array{"diffusers", "AutoencoderKL"}}};
  const object scheduler{{"_class_name", "DDIMScheduler"},
                         {"beta_start", 0.00085},
                         {"beta_end", 0.012},
                         {"beta_schedule", "scaled_linear"},
                         {"clip_sample", false},
                         {"num_train_timesteps", 1000},
                         {"prediction_type", "v_prediction"},
                         {"rescale_betas_zero_snr", true},
                         {"set_alpha_to_one", true},
                         {"steps_offset", 1},
                         {"timestep_spacing", "trailing"}};
  const object ours{{"sizes", array{array{picture_side, picture_side}}},
                    {"default_steps", 20},
                    {"max_guidance", 2},
                    {"description",
                     "Flat shapes (circle, square, triangle, star, ring) in eight colours on a "
                     "coloured background, one or two of them; trained from random weights by "
                     "tools/lp-train."},
                    {"licence", "MIT"}};
  std::error_code failed;
  std::filesystem::create_directories(folder / "scheduler", failed);
  if (failed) return fail(ec::bad_file, fmt::format("{}: {}", folder.string(), failed.message()));
  // The index last: with it the folder is a model.
  for (const auto& [file, value] :
       {std::pair{folder / "scheduler" / "scheduler_config.json", &scheduler},
        {folder / "lp_model.json", &ours},
        {folder / "model_index.json", &index}}) {
    if (auto written = write_json(file, *value); !written) return written;
  }
  return {};
}

}  // namespace lp::train
