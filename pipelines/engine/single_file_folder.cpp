// SPDX-License-Identifier: MIT
// A single file made into a Diffusers folder.
#include <fstream>

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include "pipelines/engine/convert_weights.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/single_file.hpp"
#include "pipelines/weights/lost_files.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

result<void> write_json(const fs::path& file, const json::object& what) {
  std::ofstream out(file, std::ios::binary);
  out << json::serialize(what) << '\n';
  out.close();
  if (out) return {};
  return fail(ec::bad_file, fmt::format("{}: cannot be written", file.string()));
}

result<void> make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return {};
  return fail(ec::bad_file, fmt::format("{}: {}", folder.string(), error.message()));
}

class folder_writer {
 public:
  folder_writer(sorted_checkpoint from, fs::path to, at::ScalarType dtype)
      : from_(std::move(from)), to_(std::move(to)), dtype_(dtype) {}

  result<void> write() {
    const renamed_checkpoint& t = from_.tensors;
    const char* weights = "diffusion_pytorch_model.safetensors";
    auto ok = component("unet", "UNet2DConditionModel", from_.unet, t.unet, weights);
    if (ok) ok = component("vae", "AutoencoderKL", from_.vae, t.vae, weights);
    if (ok) ok = component("text_encoder", nullptr, from_.text, t.text, "model.safetensors");
    if (ok) ok = words("tokenizer", from_.open_clip);
    if (ok && from_.xl) {
      ok = component("text_encoder_2", nullptr, from_.text_2, t.text_2, "model.safetensors");
      if (ok) ok = words("tokenizer_2", true);
    }
    if (ok) ok = make_folder(to_ / "scheduler");
    if (ok) ok = write_json(to_ / "scheduler" / "scheduler_config.json", from_.scheduler);
    // Last: with it the folder is a model.
    if (ok) ok = write_json(to_ / "model_index.json", index());
    return ok;
  }

 private:
  result<void> component(const char* name, const char* class_name, json::object config,
                         const stored_tensors& tensors, const char* file) {
    if (auto ok = make_folder(to_ / name); !ok) return ok;
    if (class_name != nullptr) config["_class_name"] = class_name;
    if (auto ok = write_json(to_ / name / "config.json", config); !ok) return ok;
    std::vector<std::pair<std::string, at::Tensor>> out;
    for (const auto& [tensor, stored] : tensors) {
      auto loaded = stored.load();
      if (!loaded) return fail(loaded.error());
      // Counters and position ids stay what they are.
      if (at::isFloatingType(loaded->scalar_type())) *loaded = loaded->to(dtype_);
      out.emplace_back(tensor, loaded->contiguous());
    }
    return save_safetensors(to_ / name / file, out, {{"format", "pt"}});
  }

  /// CLIP's words, and with `exclamation` the padding of OpenCLIP's encoders.
  result<void> words(const char* name, bool exclamation) {
    const fs::path folder = to_ / name;
    std::error_code error;
    fs::copy(from_.words, folder, fs::copy_options::recursive, error);
    if (error) return fail(ec::bad_file, fmt::format("{}: {}", folder.string(), error.message()));
    if (!exclamation) return {};
    for (const char* file : {"tokenizer_config.json", "special_tokens_map.json"}) {
      json::object settings;
      if (fs::exists(folder / file, error)) {
        auto there = read_json_file(folder / file);
        if (!there) return fail(there.error());
        settings = std::move(*there);
      }
      settings["pad_token"] = "!";
      if (auto ok = write_json(folder / file, settings); !ok) return ok;
    }
    return {};
  }

  std::string class_name() const {
    const std::string family = from_.xl ? "StableDiffusionXL" : "StableDiffusion";
    const json::value* channels = from_.unet.if_contains("in_channels");
    const auto in = channels != nullptr ? channels->to_number<int>() : 4;
    if (in == 9) return family + "InpaintPipeline";
    if (in == 8) return family + "InstructPix2PixPipeline";
    return family + "Pipeline";
  }

  json::object index() const {
    const auto part = [](const char* library, std::string_view class_name) {
      return json::array{library, class_name};
    };
    json::object out{
        {"_class_name", class_name()},
        {"scheduler", part("diffusers", from_.scheduler.at("_class_name").as_string())},
        {"text_encoder", part("transformers", "CLIPTextModel")},
        {"tokenizer", part("transformers", "CLIPTokenizer")},
        {"unet", part("diffusers", "UNet2DConditionModel")},
        {"vae", part("diffusers", "AutoencoderKL")}};
    if (from_.xl) {
      out["text_encoder_2"] = part("transformers", "CLIPTextModelWithProjection");
      out["tokenizer_2"] = part("transformers", "CLIPTokenizer");
      out["force_zeros_for_empty_prompt"] = true;
    } else {
      out["safety_checker"] = json::array{nullptr, nullptr};
      out["feature_extractor"] = json::array{nullptr, nullptr};
    }
    return out;
  }

  sorted_checkpoint from_;
  fs::path to_;
  at::ScalarType dtype_;
};

}  // namespace

result<void> unpack_single_file(const fs::path& file, const fs::path& folder,
                                std::string_view dtype) {
  const auto type = weight_type(dtype);
  if (!type) return fail(type.error());
  const auto losses = pipelines::lost_files();
  auto sorted = sort_single_file(file);
  if (!sorted) return fail(sorted.error());
  if (auto ok = make_folder(folder); !ok) return ok;
  if (auto ok = folder_writer(std::move(*sorted), folder, *type).write(); !ok) return ok;
  return pipelines::none_lost_since(losses);
}

}  // namespace lp::engine
