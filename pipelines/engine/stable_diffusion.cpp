// SPDX-License-Identifier: MIT
#include "pipelines/engine/stable_diffusion.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "pipelines/engine/compute_scope.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/network_loader.hpp"
#include "pipelines/engine/precision.hpp"
#include "pipelines/engine/python_json.hpp"
#include "pipelines/engine/schedulers/zero_snr.hpp"
#include "pipelines/engine/single_file.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "pipelines/engine/upload.hpp"
#include "pipelines/weights/checkpoint_prediction.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

/// The class that model_index.json gives a component: its value is [library, class].
std::string component_class(const json::object& index, std::string_view name) {
  const auto* entry = index.if_contains(name);
  if (entry == nullptr || !entry->is_array() || entry->get_array().size() != 2) return {};
  const auto& named = entry->get_array()[1];
  return named.is_string() ? std::string(named.get_string()) : std::string();
}

/// Members that a pipeline writes over the scheduler's file, whatever that says.
enum class overrides { none, drawing, inpainting };

struct pipeline_class {
  std::string_view name;
  bool xl;
  overrides over;
};

constexpr std::array<pipeline_class, 10> classes = {{
    {"StableDiffusionPipeline", false, overrides::drawing},
    {"StableDiffusionImg2ImgPipeline", false, overrides::drawing},
    {"StableDiffusionInpaintPipeline", false, overrides::inpainting},
    {"StableDiffusionInstructPix2PixPipeline", false, overrides::none},
    {"StableDiffusionUpscalePipeline", false, overrides::none},
    {"StableDiffusionXLPipeline", true, overrides::none},
    {"StableDiffusionXLImg2ImgPipeline", true, overrides::none},
    {"StableDiffusionXLInpaintPipeline", true, overrides::none},
    {"LatentConsistencyModelPipeline", false, overrides::none},
    {"LatentConsistencyModelImg2ImgPipeline", false, overrides::none},
}};

struct requirement {
  std::string_view component;
  std::array<std::string_view, 2> classes;
  bool of_xl;
};

constexpr std::array<requirement, 6> requirements = {{
    {"tokenizer", {"CLIPTokenizer", "CLIPTokenizerFast"}, false},
    {"text_encoder", {"CLIPTextModel", ""}, false},
    {"tokenizer_2", {"CLIPTokenizer", "CLIPTokenizerFast"}, true},
    {"text_encoder_2", {"CLIPTextModelWithProjection", ""}, true},
    {"unet", {"UNet2DConditionModel", ""}, false},
    {"vae", {"AutoencoderKL", "AutoencoderTiny"}, false},
}};

result<pipeline_class> check_index(const json::object& index, const fs::path& file) {
  const auto* kind = index.if_contains("_class_name");
  const std::string name =
      kind != nullptr && kind->is_string() ? std::string(kind->get_string()) : "without a class";
  const auto* found = std::find_if(classes.begin(), classes.end(),
                                   [&](const auto& known) { return known.name == name; });
  if (found == classes.end()) {
    std::string known;
    for (const auto& c : classes) known += fmt::format("{}{}", known.empty() ? "" : ", ", c.name);
    return fail(ec::bad_file,
                fmt::format("{}: a model of class {} cannot be loaded to make pictures; these "
                            "can: {}",
                            file.string(), name, known));
  }
  for (const auto& [component, wanted, of_xl] : requirements) {
    if (of_xl && !found->xl) continue;
    const auto given = component_class(index, component);
    if (!given.empty() && std::find(wanted.begin(), wanted.end(), given) != wanted.end()) continue;
    return fail(ec::bad_file, fmt::format("{}: {}: expected the class {}, not \"{}\"",
                                          file.string(), component, wanted[0], given));
  }
  return *found;
}

void apply(overrides over, json::object& config) {
  if (over == overrides::none) return;
  config["steps_offset"] = 1;
  if (over == overrides::drawing) {
    config["clip_sample"] = false;
  } else {
    config["skip_prk_steps"] = true;
  }
}

/// The owner's word of what the network predicts.
result<void> apply_override(const fs::path& model, json::object& config) {
  const auto said = pipelines::read_prediction_override(model);
  if (!said) return fail(said.error());
  if (said->type) config["prediction_type"] = *said->type;
  if (said->zero_terminal_snr) set_zero_terminal_snr(config, *said->zero_terminal_snr);
  return {};
}

/// The factor that the x4 upscaler's latents need; its files give another one.
constexpr double upscaler_scaling = 0.08333;

}  // namespace

result<diffusion_kind> kind_of_network(const unet_config& unet, std::int64_t latent_channels) {
  const auto in = unet.in_channels;
  if (unet.out_channels == latent_channels) {
    if (in == latent_channels) return diffusion_kind::drawing;
    if (in == 2 * latent_channels + 1) return diffusion_kind::inpainting;
    if (in == 2 * latent_channels) return diffusion_kind::editing;
    if (in == latent_channels + 3 && unet.class_embed == class_embedding::table)
      return diffusion_kind::upscaling;
  }
  return fail(
      ec::bad_file,
      fmt::format("a UNet with {} input and {} output channels is of no kind that is "
                  "supported; beside an autoencoder of {} channels expected are {} (to "
                  "draw), {} (to repaint), {} (to edit) or {} (to upscale) and {}",
                  in, unet.out_channels, latent_channels, latent_channels, 2 * latent_channels + 1,
                  2 * latent_channels, latent_channels + 3, latent_channels));
}

/// The folder's files, read one after the other; the first error ends it.
class pipeline_loader {
 public:
  pipeline_loader(const fs::path& folder, const stable_diffusion_options& options)
      : folder_(folder), options_(options) {}

  result<std::unique_ptr<stable_diffusion::parts>> load() {
    const auto file = folder_ / "model_index.json";
    auto index = read_json_file(file);
    if (!index) return fail(index.error());
    const auto known = check_index(*index, file);
    if (!known) return fail(known.error());
    parts_ = std::make_unique<stable_diffusion::parts>();
    for (const auto* name : {"tokenizer", "tokenizer_2"}) {
      if (parts_->tokenizers.size() == 1 && !known->xl) break;
      auto tokenizer = clip_tokenizer::open(folder_ / name);
      if (!tokenizer) return fail(tokenizer.error());
      parts_->tokenizers.push_back(std::move(*tokenizer));
    }
    parts_->device = options_.device;
    parts_->precision = choose_precision(options_.precision, options_.device, folder_ / "unet");
    const auto* zeros = index->if_contains("force_zeros_for_empty_prompt");
    parts_->zeros_for_no_negative =
        known->xl && (zeros == nullptr || !zeros->is_bool() || zeros->get_bool());
    if (auto ok = load_scheduler(*index, known->over); !ok) return fail(ok.error());
    tiny_vae_ = component_class(*index, "vae") == "AutoencoderTiny";
    if (auto ok = check_fit(known->xl); !ok) return fail(ok.error());
    if (auto ok = load_networks(known->xl); !ok) return fail(ok.error());
    return std::move(parts_);
  }

 private:
  result<void> load_scheduler(const json::object& index, overrides over) {
    const bool replaced = !options_.scheduler_config.empty();
    const auto file =
        replaced ? options_.scheduler_config : folder_ / "scheduler" / "scheduler_config.json";
    auto config = read_python_json_file(file);
    if (!config) return fail(config.error());
    parts_->scheduler_config = std::move(*config);
    if (!replaced) parts_->scheduler_class = component_class(index, "scheduler");
    apply(over, parts_->scheduler_config);
    if (auto ok = apply_override(folder_, parts_->scheduler_config); !ok) return ok;
    const auto tried = parts_->new_scheduler();
    if (tried) return {};
    return fail(tried.error().code, fmt::format("{}: {}", file.string(), tried.error().message));
  }

  /// In the order of use, so that a cold disk is read in that order.
  result<void> load_networks(bool xl) {
    // Small text encoders stay fp32, and on GPUs the autoencoder, where bf16 shows in a picture's
    // flat areas.
    const auto lean = scalar_type(parts_->precision);
    const auto pictures = options_.device.is_cpu() ? lean : at::kFloat;
    for (const auto* name : {"text_encoder", "text_encoder_2"}) {
      if (parts_->texts.size() == 1 && !xl) break;
      const bool large = bytes_of_weights(folder_ / name) > 2 * large_weights;
      part<clip_text> text;
      if (auto ok = load_one(text, name, parse_clip_text_config, large ? lean : at::kFloat); !ok)
        return ok;
      parts_->texts.push_back(std::move(text));
    }
    const auto unet = config_of("unet", parse_unet_config);
    if (!unet) return fail(unet.error());
    if (auto ok = network_loader(*parts_, options_)
                      .add_unet(folder_component(folder_ / "unet"), *unet, lean);
        !ok)
      return ok;
    if (tiny_vae_) return load_one(parts_->tiny, "vae", parse_autoencoder_tiny_config, at::kFloat);
    if (auto ok = load_one(parts_->vae, "vae", parse_autoencoder_kl_config, pictures); !ok)
      return ok;
    std::error_code ignored;
    if (!fs::exists(folder_ / "vae_tiny" / "config.json", ignored)) return {};
    return load_one(parts_->tiny, "vae_tiny", parse_autoencoder_tiny_config, at::kFloat);
  }

  template <class Network, class Parse>
  result<void> load_one(part<Network>& into, const char* name, Parse parse, at::ScalarType dtype) {
    const auto config = config_of(name, parse);
    if (!config) return fail(config.error());
    return network_loader(*parts_, options_)
        .add(into, folder_component(folder_ / name), *config, dtype);
  }

  /// The files may be right one by one and still not belong together. From the configurations
  /// alone: nobody waits for gigabytes to be told.
  result<void> check_fit(bool xl) {
    const auto unet = config_of("unet", parse_unet_config);
    if (!unet) return fail(unet.error());
    std::int64_t latent_channels = 0;
    if (tiny_vae_) {
      const auto vae = config_of("vae", parse_autoencoder_tiny_config);
      if (!vae) return fail(vae.error());
      latent_channels = vae->latent_channels;
      parts_->scaling_factor = vae->scaling_factor;
    } else {
      const auto vae = config_of("vae", parse_autoencoder_kl_config);
      if (!vae) return fail(vae.error());
      latent_channels = vae->latent_channels;
      parts_->scaling_factor = vae->scaling_factor;
    }
    const auto kind = kind_of_network(*unet, latent_channels);
    if (!kind) return misfit("unet", kind.error().message);
    parts_->kind = *kind;
    if (*kind == diffusion_kind::upscaling) {
      parts_->scaling_factor = upscaler_scaling;
      auto low = read_python_json_file(folder_ / "low_res_scheduler" / "scheduler_config.json");
      if (!low) return fail(low.error());
      parts_->low_res_scheduler = std::move(*low);
    } else if (unet->class_embed != class_embedding::none) {
      return misfit("unet", "a UNet with class conditions is not supported here");
    }
    if (unet->text_time != xl)
      return misfit("unet", xl ? "addition_embed_type: expected \"text_time\" for SDXL"
                               : "addition_embed_type: only SDXL pipelines have it");
    return check_texts(*unet, xl);
  }

  result<void> check_texts(const unet_config& unet, bool xl) const {
    std::int64_t width = 0;
    std::int64_t pooled = 0;
    for (std::size_t i = 0; i < parts_->tokenizers.size(); ++i) {
      const auto* name = i == 0 ? "text_encoder" : "text_encoder_2";
      const auto text = config_of(name, parse_clip_text_config);
      if (!text) return fail(text.error());
      if (auto ok = check_words(name, *text, parts_->tokenizers[i]); !ok) return ok;
      width += text->hidden_size;
      if (text->with_projection) pooled = text->projection_dim;
    }
    for (const auto& level : unet.levels) {
      if (level.cross_attention_dim == width) continue;
      return misfit("unet", fmt::format("cross_attention_dim {} is not the text encoder's "
                                        "hidden_size {}",
                                        level.cross_attention_dim, width));
    }
    if (!xl) return {};
    const auto expected = pooled + 6 * unet.addition_time_embed_dim;
    if (unet.projection_class_embeddings_input_dim == expected) return {};
    return misfit("unet", fmt::format("projection_class_embeddings_input_dim: expected {}, not {} "
                                      "(refiners, which take five numbers, are not supported)",
                                      expected, unet.projection_class_embeddings_input_dim));
  }

  result<void> check_words(const char* component, const clip_text_config& text,
                           const clip_tokenizer& words) const {
    if (static_cast<std::int64_t>(words.max_length()) <= text.max_position_embeddings &&
        static_cast<std::int64_t>(words.vocab_size()) <= text.vocab_size)
      return {};
    return misfit(component,
                  fmt::format("{} positions and {} words do not suffice for the tokenizer's {} "
                              "and {}",
                              text.max_position_embeddings, text.vocab_size, words.max_length(),
                              words.vocab_size()));
  }

  template <class Parse>
  auto config_of(const char* component, Parse parse) const
      -> decltype(parse(std::declval<const json::object&>())) {
    const auto file = folder_ / component / "config.json";
    const auto config = read_json_file(file);
    if (!config) return fail(config.error());
    auto parsed = parse(*config);
    if (!parsed)
      return fail(parsed.error().code,
                  fmt::format("{}: {}", file.string(), parsed.error().message));
    return parsed;
  }

  result<void> misfit(const char* component, const std::string& why) const {
    return fail(ec::bad_file,
                fmt::format("{}: {}", (folder_ / component / "config.json").string(), why));
  }

  const fs::path& folder_;
  const stable_diffusion_options& options_;
  std::unique_ptr<stable_diffusion::parts> parts_;
  bool tiny_vae_ = false;
};

result<std::unique_ptr<scheduler>> stable_diffusion::parts::new_scheduler(
    const std::string& name) const {
  if (name.empty()) return make_scheduler(scheduler_config, scheduler_class);
  const auto chosen = choose_scheduler(scheduler_config, name);
  if (!chosen) return fail(chosen.error());
  return make_scheduler(*chosen);
}

void stable_diffusion::parts::finish_loading(bool low_memory) {
  calls = nullptr;
  if (!device.is_cuda()) return;
  if (!low_memory) calls = std::make_shared<recorded_calls>(new_graph_recorder(device));
  // The weights came there in the stream of this thread, which may be another than the workers'.
  wait_for_gpu(device);
}

at::Tensor stable_diffusion::parts::call_unet(const unet_input& in, bool as_it_is) const {
  const auto& network = ready_unet();
  if (!calls || as_it_is) return network(in);
  const auto call = [&network](const std::vector<at::Tensor>& tensors) {
    return network(unet_input::of(tensors));
  };
  return (*calls)(call, in.tensors());
}

std::int64_t stable_diffusion::parts::latent_channels() const {
  return vae ? vae.config().latent_channels : tiny.config().latent_channels;
}
std::int64_t stable_diffusion::parts::scale() const {
  return vae ? vae.config().scale() : tiny.config().scale();
}

at::Tensor stable_diffusion::parts::encode(const at::Tensor& pictures, bool tiled) const {
  if (!vae) return tiny->encode(pictures).to(at::kFloat);
  tiling tiles;
  tiles.sample_size = tiles.latent_size * vae.config().scale();
  tiled = tiled || pictures.size(2) * pictures.size(3) > untiled_pixels;
  return (tiled ? vae->encode_tiled(pictures, tiles) : vae->encode(pictures)).to(at::kFloat);
}

at::Tensor stable_diffusion::parts::sample_latents(const at::Tensor& encoded,
                                                   std::vector<at::Generator>& generators) const {
  const auto count = static_cast<std::int64_t>(generators.size());
  if (!vae) return encoded.expand({count, -1, -1, -1}) * scaling_factor;
  const auto posterior = latent_distribution::from_moments(encoded);
  auto shape = posterior.mean.sizes().vec();
  shape[0] = count;
  const auto noise = upload(draw_noise(shape, generators), encoded.device());
  const auto drawn = posterior.mean + posterior.std * noise;
  return (drawn - vae.config().shift_factor) * scaling_factor;
}

at::Tensor stable_diffusion::parts::likely_latents(const at::Tensor& encoded) const {
  return vae ? latent_distribution::from_moments(encoded).mean : encoded;
}

at::Tensor stable_diffusion::parts::decode_raw(const at::Tensor& latents, bool tiled) const {
  if (!vae) return tiny->decode(latents / scaling_factor);
  const auto plain = latents / scaling_factor + vae.config().shift_factor;
  const auto side = vae.config().scale();
  tiling tiles;
  tiles.sample_size = tiles.latent_size * side;
  tiled = tiled || latents.size(2) * latents.size(3) * side * side > untiled_pixels;
  return tiled ? vae->decode_tiled(plain, tiles) : vae->decode(plain);
}

at::Tensor stable_diffusion::parts::decode(const at::Tensor& latents, bool tiled) const {
  return (decode_raw(latents, tiled).to(at::kCPU, at::kFloat) / 2 + 0.5).clamp(0, 1);
}

stable_diffusion::stable_diffusion(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
stable_diffusion::~stable_diffusion() {
  const auto device = parts_->device;
  settle(device);  // runs that were given up may have left work that reads the weights
  parts_.reset();
  trim_tensor_memory();
  give_back_memory(device);
}

result<std::shared_ptr<const stable_diffusion>> stable_diffusion::load(
    const fs::path& folder, const stable_diffusion_options& options) {
  use_tensor_memory();
  if (options.precision == weight_precision::fp16 && options.device.is_cpu())
    return fail(ec::bad_config, "fp16: networks compute in it on GPUs alone; use fp32 or bf16");
  return guarded([&]() -> result<std::shared_ptr<const stable_diffusion>> {
    std::error_code ignored;
    if (fs::is_regular_file(folder, ignored)) {
      auto adjusted = options;
      adjusted.precision = choose_precision(options.precision, options.device, folder);
      auto loaded = load_single_file(folder, adjusted);
      if (!loaded) return fail(loaded.error());
      (*loaded)->finish_loading(options.low_memory);
      return std::shared_ptr<const stable_diffusion>(new stable_diffusion(std::move(*loaded)));
    }
    auto loaded = pipeline_loader(folder, options).load();
    if (!loaded) return fail(loaded.error());
    (*loaded)->finish_loading(options.low_memory);
    return std::shared_ptr<const stable_diffusion>(new stable_diffusion(std::move(*loaded)));
  });
}

std::uint64_t stable_diffusion::bytes() const {
  return parts_->bytes + parts_->largest_absent;
}
void stable_diffusion::wait_until_packed() const {
  if (parts_->packing.valid()) parts_->packing.wait();
}
const std::vector<std::string>& stable_diffusion::notes() const {
  return parts_->notes;
}
std::int64_t stable_diffusion::scale() const {
  return parts_->scale();
}
std::int64_t stable_diffusion::usual_size() const {
  return parts_->unet->config().sample_size * scale();
}
weight_precision stable_diffusion::precision() const {
  return parts_->precision;
}
diffusion_kind stable_diffusion::kind() const {
  return parts_->kind;
}
bool stable_diffusion::has_second_prompt() const {
  return parts_->texts.size() > 1;
}

}  // namespace lp::engine
