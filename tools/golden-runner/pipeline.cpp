// SPDX-License-Identifier: MIT
#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include <ATen/ATen.h>

#include "pipelines/engine/stable_diffusion.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

constexpr std::string_view known_classes[] = {"StableDiffusionPipeline",
                                              "LatentConsistencyModelPipeline"};
constexpr std::string_view known_parameters[] = {"clip_skip",
                                                 "eta",
                                                 "guidance_rescale",
                                                 "guidance_scale",
                                                 "height",
                                                 "prompt",
                                                 "negative_prompt",
                                                 "num_images_per_prompt",
                                                 "num_inference_steps",
                                                 "seed",
                                                 "seeds",
                                                 "width"};

/// Why the engine cannot draw the case, or "".
std::string unknown_part(const golden_case& c, const std::string& class_name) {
  const auto lacks = [](const auto& list, std::string_view name) {
    return std::find(std::begin(list), std::end(list), name) == std::end(list);
  };
  if (lacks(known_classes, class_name)) return class_name;
  for (const auto& parameter : c.params()) {
    if (lacks(known_parameters, parameter.key())) {
      return "the parameter " + std::string(parameter.key());
    }
  }
  for (const auto& [name, value] : c.inputs()) return "the input " + name;
  return "";
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
  request.width = c.integer("width", usual_size);
  request.height = c.integer("height", usual_size);
  request.steps = static_cast<int>(c.integer("num_inference_steps", request.steps));
  request.guidance_scale = c.number("guidance_scale", request.guidance_scale);
  request.guidance_rescale = c.number("guidance_rescale", 0);
  request.clip_skip = static_cast<int>(c.integer("clip_skip", 0));
  request.eta = c.number("eta", 0);
  return request;
}

result<answer> draw(engine::drawing& drawing) {
  answer out;
  out.values["initial_latents"] = drawing.latents().clone();
  out.values["prompt_embeds"] = drawing.prompt_embeds();
  if (drawing.negative_prompt_embeds().defined()) {
    out.values["negative_prompt_embeds"] = drawing.negative_prompt_embeds();
  }
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

}  // namespace

result<answer> run_pipeline(const golden_case& c) {
  const auto name = golden_case::class_name(c.path("model_dir") / "model_index.json");
  if (!name) return fail(name.error());
  if (auto unknown = unknown_part(c, *name); !unknown.empty()) return answer::not_yet(unknown);
  engine::stable_diffusion_options options;
  options.precision = engine::weight_precision::fp32;
  options.scheduler_config = c.path("scheduler_override");
  const auto pipeline = engine::stable_diffusion::load(c.path("model_dir"), options);
  if (!pipeline) return fail(pipeline.error());
  const auto request = request_of(c, (*pipeline)->usual_size());
  const auto pictures =
      static_cast<std::int64_t>(request.prompts.size()) * request.images_per_prompt;
  if (static_cast<std::int64_t>(request.seeds.size()) != pictures) {
    return answer::not_yet("one generator for several pictures");
  }
  const auto drawing = engine::stable_diffusion::start(*pipeline, request);
  if (!drawing) return fail(drawing.error());
  return draw(**drawing);
}

}  // namespace lp::goldens
