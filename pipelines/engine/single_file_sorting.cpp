// SPDX-License-Identifier: MIT
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include "pipelines/checkpoint_words.hpp"
#include "pipelines/engine/clip_text.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/schedulers/zero_snr.hpp"
#include "pipelines/engine/single_file.hpp"
#include "pipelines/weights/checkpoint_prediction.hpp"

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

/// The family by its shapes.
sorted_checkpoint recognise(renamed_checkpoint tensors) {
  sorted_checkpoint out;
  out.tensors = std::move(tensors);
  const renamed_checkpoint& c = out.tensors;
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

/// The text encoder's tensors without what its configuration leaves out.
result<void> trim_text(stored_tensors& tensors, const json::object& json) {
  if (tensors.empty()) return {};
  const auto config = parse_clip_text_config(json);
  if (!config) return fail(config.error());
  drop_layers_from(tensors, config->num_hidden_layers);
  if (!config->with_projection) tensors.erase("text_projection.weight");
  return {};
}

/// What the file cannot say may stand beside it.
result<void> heed_sidecar(const fs::path& file, sorted_checkpoint& c) {
  auto beside = file;
  beside.replace_extension(".json");
  std::error_code ignored;
  if (!fs::exists(beside, ignored)) return {};
  const auto given = read_json_file(beside);
  if (!given) return fail(given.error());
  for (const auto& [key, into] : {std::pair{"unet", &c.unet},
                                  {"vae", &c.vae},
                                  {"text_encoder", &c.text},
                                  {"text_encoder_2", &c.text_2},
                                  {"scheduler", &c.scheduler}}) {
    const auto* member = given->if_contains(key);
    if (member != nullptr && member->is_object()) *into = member->get_object();
  }
  return {};
}

/// What the network predicts goes into the scheduler's configuration.
result<void> decide_prediction(const fs::path& file, const stored_tensors& tensors,
                               sorted_checkpoint& c) {
  const auto values = [&](const std::string& name) -> std::optional<std::vector<double>> {
    const auto it = tensors.find(name);
    if (it == tensors.end()) return std::nullopt;
    const auto loaded = it->second.load();
    if (!loaded || !at::isFloatingType(loaded->scalar_type())) return std::nullopt;
    const auto plain = loaded->to(at::kDouble).contiguous();
    const auto* first = plain.data_ptr<double>();
    return std::vector<double>(first, first + plain.numel());
  };
  const auto found = pipelines::prediction_of(file, values);
  if (!found) return fail(found.error());
  c.scheduler["prediction_type"] = found->type;
  if (found->zero_terminal_snr) set_zero_terminal_snr(c.scheduler, true);
  if (found->told_by.empty()) c.assumed = "this model " + found->text();
  return {};
}

}  // namespace

result<sorted_checkpoint> sort_single_file(const fs::path& file, bool ahead) {
  auto tensors = open_tensors(file, ahead);
  if (!tensors) return fail(tensors.error());
  auto named = rename_original(*tensors);
  if (named.unet.empty() || named.vae.empty() || named.text.empty())
    return fail(ec::bad_file,
                fmt::format("{}: expected a whole pipeline in the original naming "
                            "(model.diffusion_model, first_stage_model and a text encoder); "
                            "found {} tensors of the first, {} of the second, {} of the third",
                            file.string(), named.unet.size(), named.vae.size(), named.text.size()));
  sorted_checkpoint out = recognise(std::move(named));
  if (auto ok = heed_sidecar(file, out); !ok) return fail(ok.error());
  if (auto ok = decide_prediction(file, *tensors, out); !ok) return fail(ok.error());
  if (auto ok = trim_text(out.tensors.text, out.text); !ok) return fail(ok.error());
  if (auto ok = trim_text(out.tensors.text_2, out.text_2); !ok) return fail(ok.error());
  auto words = pipelines::tokenizer_of(file);
  if (!words)
    return fail(ec::bad_file,
                fmt::format("{}: single files lack the tokenizer; expected vocab.json and "
                            "merges.txt of CLIP in a folder \"tokenizer\" beside it or one above",
                            file.string()));
  out.words = std::move(*words);
  return out;
}

}  // namespace lp::engine
