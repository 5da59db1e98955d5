// SPDX-License-Identifier: MIT
#include "pipelines/engine/single_file.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include "pipelines/engine/json_file.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

/// What the published folders say of each component.
constexpr const char* sd_unet = R"({
  "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                       "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                     "CrossAttnUpBlock2D"],
  "attention_head_dim": 8, "cross_attention_dim": 768})";
constexpr const char* sdxl_unet = R"({
  "block_out_channels": [320, 640, 1280], "layers_per_block": 2, "sample_size": 128,
  "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  "transformer_layers_per_block": [1, 2, 10], "attention_head_dim": [5, 10, 20],
  "cross_attention_dim": 2048, "use_linear_projection": true, "addition_embed_type": "text_time",
  "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816})";
constexpr const char* vae_config = R"({
  "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "sample_size": 512,
  "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D",
                       "DownEncoderBlock2D"],
  "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D",
                     "UpDecoderBlock2D"],
  "scaling_factor": 0.18215})";
constexpr const char* clip_l = R"({
  "architectures": ["CLIPTextModel"], "vocab_size": 49408, "hidden_size": 768,
  "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
  "max_position_embeddings": 77, "hidden_act": "quick_gelu", "eos_token_id": 2,
  "projection_dim": 768})";
/// The last layer is left out: SD 2 was trained on the one before.
constexpr const char* clip_h = R"({
  "architectures": ["CLIPTextModel"], "vocab_size": 49408, "hidden_size": 1024,
  "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16,
  "max_position_embeddings": 77, "hidden_act": "gelu", "eos_token_id": 49407,
  "projection_dim": 512})";
constexpr const char* clip_g = R"({
  "architectures": ["CLIPTextModelWithProjection"], "vocab_size": 49408, "hidden_size": 1280,
  "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
  "max_position_embeddings": 77, "hidden_act": "gelu", "eos_token_id": 49407,
  "projection_dim": 1280})";
constexpr const char* sd_scheduler = R"({
  "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
  "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "steps_offset": 1,
  "clip_sample": false, "set_alpha_to_one": false})";
constexpr const char* sdxl_scheduler = R"({
  "_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
  "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "steps_offset": 1,
  "timestep_spacing": "leading"})";

json::object object(const char* text) {
  return json::parse(text).as_object();
}

std::int64_t size_of(const stored_tensors& tensors, const std::string& name, std::size_t dim) {
  const auto found = tensors.find(name);
  if (found == tensors.end() || found->second.shape.size() <= dim) return 0;
  return found->second.shape[dim];
}

struct plan {
  json::object unet, vae, text, text_2, scheduler;
  bool xl = false;
  bool open_clip = false;  ///< the first text encoder is padded with "!"
};

/// The family by its shapes.
plan recognise(const renamed_checkpoint& c) {
  plan out;
  out.xl = !c.text_2.empty();
  out.unet = object(out.xl ? sdxl_unet : sd_unet);
  out.vae = object(vae_config);
  out.text = object(clip_l);
  out.scheduler = object(out.xl ? sdxl_scheduler : sd_scheduler);
  if (const auto in = size_of(c.unet, "conv_in.weight", 1); in > 0) out.unet["in_channels"] = in;
  if (out.xl) {
    out.vae["scaling_factor"] = 0.13025;
    out.text_2 = object(clip_g);
    return out;
  }
  const auto context =
      size_of(c.unet, "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1);
  if (context != 1024) return out;
  out.open_clip = true;
  out.text = object(clip_h);
  out.unet["cross_attention_dim"] = context;
  out.unet["use_linear_projection"] = true;
  out.unet["attention_head_dim"] = json::array{5, 10, 20, 20};
  return out;
}

/// Tensors of layers that the configuration leaves out.
void drop_layers_from(stored_tensors& text, std::int64_t count) {
  std::erase_if(text, [&](const auto& entry) {
    constexpr std::string_view place = "text_model.encoder.layers.";
    if (!entry.first.starts_with(place)) return false;
    return std::strtoll(entry.first.c_str() + place.size(), nullptr, 10) >= count;
  });
}

class single_file_loader {
 public:
  single_file_loader(const fs::path& file, const stable_diffusion_options& options)
      : file_(file), options_(options) {}

  result<std::unique_ptr<stable_diffusion::parts>> load() {
    auto tensors = open_tensors(file_);
    if (!tensors) return fail(tensors.error());
    auto named = rename_original(*tensors);
    if (named.unet.empty() || named.vae.empty() || named.text.empty())
      return fail(
          ec::bad_file,
          fmt::format("{}: expected a whole pipeline in the original naming "
                      "(model.diffusion_model, first_stage_model and a text encoder); "
                      "found {} tensors of the first, {} of the second, {} of the third",
                      file_.string(), named.unet.size(), named.vae.size(), named.text.size()));
    plan_ = recognise(named);
    if (auto ok = heed_sidecar(); !ok) return fail(ok.error());
    p_ = std::make_unique<stable_diffusion::parts>();
    p_->device = options_.device;
    p_->precision = options_.precision == weight_precision::bf16 ? weight_precision::bf16
                                                                 : weight_precision::fp32;
    p_->zeros_for_no_negative = plan_.xl;
    p_->scheduler_config = plan_.scheduler;
    if (const auto tried = p_->new_scheduler(); !tried) return fail(tried.error());
    if (auto ok = load_words(); !ok) return fail(ok.error());
    if (auto ok = load_networks(named); !ok) return fail(ok.error());
    return std::move(p_);
  }

 private:
  /// What the file cannot say may stand beside it.
  result<void> heed_sidecar() {
    const auto name = file_.stem().string();
    if (name.find("768") != name.npos || name.find("-v") != name.npos)
      if (plan_.open_clip) plan_.scheduler["prediction_type"] = "v_prediction";
    auto beside = file_;
    beside.replace_extension(".json");
    std::error_code ignored;
    if (!fs::exists(beside, ignored)) return {};
    const auto given = read_json_file(beside);
    if (!given) return fail(given.error());
    for (const auto& [key, into] : {std::pair{"unet", &plan_.unet},
                                    {"vae", &plan_.vae},
                                    {"text_encoder", &plan_.text},
                                    {"text_encoder_2", &plan_.text_2},
                                    {"scheduler", &plan_.scheduler}}) {
      const auto* member = given->if_contains(key);
      if (member != nullptr && member->is_object()) *into = member->get_object();
    }
    if (const auto* type = given->if_contains("prediction_type"); type != nullptr)
      plan_.scheduler["prediction_type"] = *type;
    return {};
  }

  result<void> load_words() {
    std::error_code ignored;
    for (const auto& folder : {file_.parent_path(), file_.parent_path().parent_path()}) {
      if (!fs::exists(folder / "tokenizer" / "vocab.json", ignored)) continue;
      auto words = clip_tokenizer::open(folder / "tokenizer");
      if (!words) return fail(words.error());
      p_->tokenizers.push_back(plan_.open_clip ? words->with_pad('!') : *words);
      if (plan_.xl) p_->tokenizers.push_back(words->with_pad('!'));
      return {};
    }
    return fail(ec::bad_file,
                fmt::format("{}: single files lack the tokenizer; expected vocab.json and "
                            "merges.txt of CLIP in a folder \"tokenizer\" beside it or one above",
                            file_.string()));
  }

  result<void> load_networks(renamed_checkpoint& named) {
    const auto lean = p_->precision == weight_precision::bf16 ? at::kBFloat16 : at::kFloat;
    if (auto ok = add_text(named.text, plan_.text, at::kFloat); !ok) return ok;
    if (plan_.xl)
      if (auto ok = add_text(named.text_2, plan_.text_2, lean); !ok) return ok;
    const auto unet = parse_unet_config(plan_.unet);
    if (!unet) return fail(unet.error());
    const auto vae = parse_autoencoder_kl_config(plan_.vae);
    if (!vae) return fail(vae.error());
    const auto kind = kind_of_network(*unet, vae->latent_channels);
    if (!kind || *kind == diffusion_kind::upscaling)
      return fail(ec::bad_file,
                  fmt::format("{}: {}", file_.string(),
                              kind ? "upscalers are loaded from folders" : kind.error().message));
    p_->kind = *kind;
    p_->scaling_factor = vae->scaling_factor;
    if (auto ok = add(p_->unet, named.unet, *unet, lean); !ok) return ok;
    return add(p_->vae, named.vae, *vae, at::kFloat);
  }

  result<void> add_text(stored_tensors& tensors, const json::object& json, at::ScalarType dtype) {
    const auto config = parse_clip_text_config(json);
    if (!config) return fail(config.error());
    drop_layers_from(tensors, config->num_hidden_layers);
    if (!config->with_projection) tensors.erase("text_projection.weight");
    std::shared_ptr<const clip_text> text;
    if (auto ok = add(text, tensors, *config, dtype); !ok) return ok;
    p_->texts.push_back(std::move(text));
    return {};
  }

  template <class Network, class Config>
  result<void> add(std::shared_ptr<const Network>& into, stored_tensors& tensors,
                   const Config& config, at::ScalarType dtype) {
    const auto source = checkpoint::of(std::move(tensors), file_, dtype, options_.device);
    std::uint64_t bytes = 0;
    auto made = build_network<Network>(config, *source, &bytes);
    if (!made) return fail(made.error());
    into = std::move(*made);
    p_->bytes += bytes;
    return {};
  }

  const fs::path& file_;
  const stable_diffusion_options& options_;
  plan plan_;
  std::unique_ptr<stable_diffusion::parts> p_;
};

}  // namespace

result<std::unique_ptr<stable_diffusion::parts>> load_single_file(
    const fs::path& file, const stable_diffusion_options& options) {
  return single_file_loader(file, options).load();
}

}  // namespace lp::engine
