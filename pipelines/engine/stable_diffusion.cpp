// SPDX-License-Identifier: MIT
#include "pipelines/engine/stable_diffusion.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/python_json.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

/// UNets from this size on are bound by memory and matrix products, where bf16 pays.
constexpr std::uintmax_t large_weights = std::uintmax_t{500} << 20;

/// The class that model_index.json gives a component: its value is [library, class].
std::string component_class(const json::object& index, std::string_view name) {
  const auto* entry = index.if_contains(name);
  if (entry == nullptr || !entry->is_array() || entry->get_array().size() != 2) return {};
  const auto& named = entry->get_array()[1];
  return named.is_string() ? std::string(named.get_string()) : std::string();
}

struct requirement {
  std::string_view component;
  std::array<std::string_view, 2> classes;
};

constexpr std::array<requirement, 4> requirements = {{
    {"tokenizer", {"CLIPTokenizer", "CLIPTokenizerFast"}},
    {"text_encoder", {"CLIPTextModel", ""}},
    {"unet", {"UNet2DConditionModel", ""}},
    {"vae", {"AutoencoderKL", ""}},
}};

result<std::string> check_index(const json::object& index, const fs::path& file) {
  const auto* kind = index.if_contains("_class_name");
  const std::string name =
      kind != nullptr && kind->is_string() ? std::string(kind->get_string()) : "without a class";
  if (name != "StableDiffusionPipeline" && name != "LatentConsistencyModelPipeline") {
    return fail(ec::bad_file,
                fmt::format("{}: a model of class {} cannot be loaded for text-to-image; "
                            "StableDiffusionPipeline and LatentConsistencyModelPipeline can",
                            file.string(), name));
  }
  for (const auto& [component, classes] : requirements) {
    const auto given = component_class(index, component);
    if (!given.empty() && std::find(classes.begin(), classes.end(), given) != classes.end())
      continue;
    return fail(ec::bad_file, fmt::format("{}: {}: expected the class {}, not \"{}\"",
                                          file.string(), component, classes[0], given));
  }
  return name;
}

bool has_fast_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

std::uintmax_t bytes_of_weights(const fs::path& folder) {
  std::uintmax_t sum = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".safetensors") sum += entry.file_size(ignored);
  }
  return sum;
}

weight_precision choose(weight_precision wanted, at::Device device, const fs::path& folder) {
  if (wanted != weight_precision::automatic) return wanted;
  return (device.is_cuda() || has_fast_bf16()) && bytes_of_weights(folder / "unet") >= large_weights
             ? weight_precision::bf16
             : weight_precision::fp32;
}

/// The pipelines of these two families override what the scheduler's file says.
void apply_overrides(json::object& config) {
  config["steps_offset"] = 1;
  config["clip_sample"] = false;
}

}  // namespace

/// The folder's files, read one after the other; the first error ends it.
class pipeline_loader {
 public:
  pipeline_loader(const fs::path& folder, const stable_diffusion_options& options)
      : folder_(folder), options_(options) {}

  result<std::unique_ptr<stable_diffusion::parts>> load() {
    const auto file = folder_ / "model_index.json";
    auto index = read_json_file(file);
    if (!index) return fail(index.error());
    const auto name = check_index(*index, file);
    if (!name) return fail(name.error());
    auto tokenizer = clip_tokenizer::open(folder_ / "tokenizer");
    if (!tokenizer) return fail(tokenizer.error());
    parts_ = std::make_unique<stable_diffusion::parts>(std::move(*tokenizer));
    parts_->device = options_.device;
    parts_->precision = choose(options_.precision, options_.device, folder_);
    if (auto ok = load_scheduler(*index, *name == "StableDiffusionPipeline"); !ok)
      return fail(ok.error());
    if (auto ok = check_fit(); !ok) return fail(ok.error());
    if (auto ok = load_networks(); !ok) return fail(ok.error());
    return std::move(parts_);
  }

 private:
  result<void> load_scheduler(const json::object& index, bool overrides) {
    const bool replaced = !options_.scheduler_config.empty();
    const auto file =
        replaced ? options_.scheduler_config : folder_ / "scheduler" / "scheduler_config.json";
    auto config = read_python_json_file(file);
    if (!config) return fail(config.error());
    parts_->scheduler_config = std::move(*config);
    if (!replaced) parts_->scheduler_class = component_class(index, "scheduler");
    if (overrides) apply_overrides(parts_->scheduler_config);
    const auto tried = parts_->new_scheduler();
    if (tried) return {};
    return fail(tried.error().code, fmt::format("{}: {}", file.string(), tried.error().message));
  }

  /// In the order of use, so that a cold disk is read in that order.
  result<void> load_networks() {
    // The text encoder and the autoencoder are small beside the UNet, and bf16 shows in a picture's
    // flat areas: they stay fp32.
    if (auto ok = load_one(parts_->text, load_clip_text, "text_encoder", at::kFloat); !ok)
      return ok;
    const auto dtype = parts_->precision == weight_precision::bf16 ? at::kBFloat16 : at::kFloat;
    if (auto ok = load_one(parts_->unet, load_unet, "unet", dtype); !ok) return ok;
    return load_one(parts_->vae, load_autoencoder_kl, "vae", at::kFloat);
  }

  template <class Network, class Loader>
  result<void> load_one(std::unique_ptr<Network>& into, Loader loader, const char* component,
                        at::ScalarType dtype) {
    std::uint64_t bytes = 0;
    auto made = loader(folder_ / component, dtype, options_.device, &bytes);
    if (!made) return fail(made.error());
    into = std::move(*made);
    parts_->bytes += bytes;
    return {};
  }

  /// The files may be right one by one and still not belong together. From the configurations
  /// alone: nobody waits for gigabytes to be told.
  result<void> check_fit() const {
    const auto unet = config_of("unet", parse_unet_config);
    if (!unet) return fail(unet.error());
    const auto vae = config_of("vae", parse_autoencoder_kl_config);
    if (!vae) return fail(vae.error());
    const auto text = config_of("text_encoder", parse_clip_text_config);
    if (!text) return fail(text.error());
    if (unet->in_channels != vae->latent_channels || unet->out_channels != vae->latent_channels) {
      return misfit("unet",
                    fmt::format("a UNet with {} input and {} output channels (inpainting, "
                                "upscaling, ...) is not supported for text-to-image; "
                                "expected {} as the autoencoder's latents",
                                unet->in_channels, unet->out_channels, vae->latent_channels));
    }
    if (unet->text_time || unet->class_embed != class_embedding::none)
      return misfit("unet", "a UNet with class or size conditions is not supported here");
    for (const auto& level : unet->levels) {
      if (level.cross_attention_dim == text->hidden_size) continue;
      return misfit("unet", fmt::format("cross_attention_dim {} is not the text encoder's "
                                        "hidden_size {}",
                                        level.cross_attention_dim, text->hidden_size));
    }
    return check_words(*text);
  }

  result<void> check_words(const clip_text_config& text) const {
    const auto& words = parts_->tokenizer;
    if (static_cast<std::int64_t>(words.max_length()) <= text.max_position_embeddings &&
        static_cast<std::int64_t>(words.vocab_size()) <= text.vocab_size)
      return {};
    return misfit("text_encoder",
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
};

stable_diffusion::stable_diffusion(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
stable_diffusion::~stable_diffusion() = default;

result<std::shared_ptr<const stable_diffusion>> stable_diffusion::load(
    const fs::path& folder, const stable_diffusion_options& options) {
  return guarded([&]() -> result<std::shared_ptr<const stable_diffusion>> {
    auto loaded = pipeline_loader(folder, options).load();
    if (!loaded) return fail(loaded.error());
    return std::shared_ptr<const stable_diffusion>(new stable_diffusion(std::move(*loaded)));
  });
}

std::uint64_t stable_diffusion::bytes() const {
  return parts_->bytes;
}
std::int64_t stable_diffusion::scale() const {
  return parts_->vae->config().scale();
}
std::int64_t stable_diffusion::usual_size() const {
  return parts_->unet->config().sample_size * scale();
}
weight_precision stable_diffusion::precision() const {
  return parts_->precision;
}

}  // namespace lp::engine
