// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/lora.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/model_index.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

constexpr std::string_view known_parameters[] = {"checked_with",
                                                 "clip_skip",
                                                 "difference",
                                                 "lora",
                                                 "lora_scale",
                                                 "crops_coords_top_left",
                                                 "eta",
                                                 "guidance_rescale",
                                                 "guidance_scale",
                                                 "height",
                                                 "image_guidance_scale",
                                                 "prompt",
                                                 "negative_prompt",
                                                 "noise_level",
                                                 "prompt_2",
                                                 "num_inference_steps",
                                                 "seed",
                                                 "num_images_per_prompt",
                                                 "seeds",
                                                 "strength",
                                                 "original_size",
                                                 "width",
                                                 "target_size"};
constexpr std::string_view known_inputs[] = {"image_u8", "mask_u8"};

/// Why the engine cannot draw the case, or "".
std::string unknown_part(const golden_case& c, const std::string& class_name) {
  const auto lacks = [](const auto& list, std::string_view name) {
    return std::find(std::begin(list), std::end(list), name) == std::end(list);
  };
  if (!pipelines::tasks_of_class(class_name).any() || class_name == "DiTPipeline")
    return class_name;
  for (const auto& parameter : c.params()) {
    if (lacks(known_parameters, parameter.key()))
      return "the parameter " + std::string(parameter.key());
  }
  for (const auto& [name, value] : c.inputs()) {
    if (lacks(known_inputs, name)) return "the input " + name;
  }
  return "";
}

/// A recorded picture or mask [h, w] or [h, w, channels] as [1, channels, h, w] in [0, 1].
at::Tensor picture_of(const golden_case& c, const std::string& name) {
  const auto recorded = c.input(name);
  if (!recorded.defined()) return recorded;
  const auto deep = recorded.dim() == 2 ? recorded.unsqueeze(-1) : recorded;
  return deep.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat) / 255;
}

std::optional<engine::size_condition> sizes_of(const golden_case& c,
                                               const engine::drawing_request& r) {
  const auto pair = [&](std::string_view key, std::pair<std::int64_t, std::int64_t> fallback) {
    const auto given = c.integers(key);
    return given.size() == 2 ? std::pair{given[0], given[1]} : fallback;
  };
  const std::pair own{r.height, r.width};
  return engine::size_condition{pair("original_size", own), pair("crops_coords_top_left", {0, 0}),
                                pair("target_size", own)};
}

engine::drawing_request request_of(const golden_case& c, std::int64_t usual_size) {
  engine::drawing_request request;
  request.prompts = c.texts("prompt");
  request.negative_prompts = c.texts("negative_prompt");
  request.images_per_prompt = c.integer("num_images_per_prompt", 1);
  for (const std::int64_t seed : c.integers("seeds")) {
    request.seeds.push_back(static_cast<std::uint64_t>(seed));
  }
  if (c.params().contains("seed")) {
    request.seeds = {static_cast<std::uint64_t>(c.integer("seed", 0))};
  }
  request.prompts_2 = c.texts("prompt_2");
  request.image = picture_of(c, "image_u8");
  request.mask = picture_of(c, "mask_u8");
  const bool sized = request.image.defined();
  request.width = c.integer("width", sized ? request.image.size(3) : usual_size);
  request.height = c.integer("height", sized ? request.image.size(2) : usual_size);
  request.strength = c.number("strength", request.strength);
  request.image_guidance_scale = c.number("image_guidance_scale", request.image_guidance_scale);
  request.noise_level = static_cast<int>(c.integer("noise_level", request.noise_level));
  request.sizes = sizes_of(c, request);
  request.steps = static_cast<int>(c.integer("num_inference_steps", request.steps));
  request.guidance_scale = c.number("guidance_scale", request.guidance_scale);
  request.guidance_rescale = c.number("guidance_rescale", 0);
  request.clip_skip = static_cast<int>(c.integer("clip_skip", 0));
  request.eta = c.number("eta", 0);
  return request;
}

void tell_embeddings(const engine::drawing& drawing, tensors& out) {
  for (const auto& [name, value] :
       {std::pair{"prompt_embeds", drawing.prompt_embeds()},
        std::pair{"negative_prompt_embeds", drawing.negative_prompt_embeds()},
        std::pair{"pooled_prompt_embeds", drawing.pooled_prompt_embeds()},
        std::pair{"negative_pooled_prompt_embeds", drawing.negative_pooled_prompt_embeds()}}) {
    if (value.defined()) out[name] = value;
  }
}

result<answer> draw(engine::drawing& drawing) {
  answer out;
  out.values["initial_latents"] = drawing.latents().clone();
  tell_embeddings(drawing, out.values);
  std::vector<at::Tensor> steps, pictures;
  while (drawing.done() < drawing.total()) {
    if (auto stepped = drawing.step(); !stepped) return fail(stepped.error());
    steps.push_back(drawing.latents().clone());
  }
  for (std::int64_t i = 0; i < drawing.count(); ++i) {
    const auto picture = drawing.picture(i);
    if (!picture) return fail(picture.error());
    pictures.push_back(*picture);
  }
  out.values["step_latents"] = at::stack(steps);
  out.values["image"] = at::cat(pictures);
  return out;
}

/// Every name in the file has to mean something.
result<std::shared_ptr<const engine::stable_diffusion>> with_lora(
    const engine::stable_diffusion& pipeline, const std::filesystem::path& path, double scale) {
  const auto file = engine::lora_file::open(path);
  if (!file) return fail(file.error());
  std::vector<std::string> unmatched;
  auto made = pipeline.with_loras({{*file, scale}}, unmatched);
  if (made && !unmatched.empty())
    return fail(ec::bad_file, fmt::format("{}: {} fits nothing", path.string(), unmatched[0]));
  return made;
}

}  // namespace

result<answer> run_pipeline(const golden_case& c) {
  const auto name = golden_case::class_name(c.path("model_dir") / "model_index.json");
  if (!name) return fail(name.error());
  if (auto unknown = unknown_part(c, *name); !unknown.empty()) return answer::not_yet(unknown);
  engine::stable_diffusion_options options;
  options.precision = engine::weight_precision::fp32;
  options.scheduler_config = c.path("scheduler_override");
  auto pipeline = engine::stable_diffusion::load(c.path("model_dir"), options);
  if (!pipeline) return fail(pipeline.error());
  if (const auto lora = c.path("lora"); !lora.empty()) {
    pipeline = with_lora(**pipeline, lora, c.number("lora_scale", 1));
    if (!pipeline) return fail(pipeline.error());
  }
  const auto request = request_of(c, (*pipeline)->usual_size());
  const auto pictures =
      static_cast<std::int64_t>(request.prompts.size()) * request.images_per_prompt;
  if (static_cast<std::int64_t>(request.seeds.size()) != pictures) {
    return answer::not_yet("one generator for several pictures");
  }
  const auto drawing = engine::stable_diffusion::start(*pipeline, request);
  if (!drawing) return fail(drawing.error());
  auto out = draw(**drawing);
  if (!out || request.prompts_2.empty()) return out;
  // Embeddings are recorded of the first prompt alone, in both encoders.
  auto first = request;
  first.prompts_2.clear();
  const auto alone = engine::stable_diffusion::start(*pipeline, first);
  if (!alone) return fail(alone.error());
  tell_embeddings(**alone, out->values);
  return out;
}

}  // namespace lp::goldens
