// SPDX-License-Identifier: MIT
#include "pipelines/picture_parameters.hpp"

#include <algorithm>
#include <cmath>

#include <malloc.h>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include "pipelines/engine.hpp"
#include "pipelines/scheduler_names.hpp"

namespace lp::pipelines {

namespace {

namespace json = boost::json;
using kind = parameter::kind;

error endless_strength(const std::string& of) {
  const auto what = fmt::format("The strength of {} should be a finite number", of);
  return {ec::invalid_parameters, "loras: " + what, {{{"body", "loras"}, what, "finite_number"}}};
}

}  // namespace

parameter text_parameter(std::string name, std::string help, double longest) {
  return {std::move(name), kind::string, std::move(help), "", false, {}, longest, {}};
}

parameter integer_parameter(std::string name, std::string help, std::int64_t fallback, double min,
                            double max) {
  return {std::move(name), kind::integer, std::move(help), fallback, false, min, max, {}};
}

parameter number_parameter(std::string name, std::string help, double fallback, double min,
                           double max) {
  return {std::move(name), kind::number, std::move(help), fallback, false, min, max, {}};
}

parameter model_id_parameter() {
  return text_parameter("model_id", "The model to draw with; empty means the default model.", 512);
}

parameter loras_parameter() {
  return text_parameter(
      "loras", "LoRA weights to add to the model, as a JSON object from name to strength.");
}

parameter prompt_parameter(std::string help, bool may_be_empty) {
  parameter p = text_parameter("prompt", std::move(help));
  p.fallback = {};
  p.required = true;
  if (!may_be_empty) p.min = 1;
  return p;
}

parameter guidance_scale_parameter() {
  return number_parameter(
      "guidance_scale",
      "How closely the picture keeps to the prompt; 1 and below turn guidance off.", 7.5, 0, 50);
}

parameter negative_prompt_parameter() {
  return text_parameter("negative_prompt",
                        "What the picture should not show. Has no effect without guidance.");
}

parameter safety_check_parameter() {
  return {"safety_check",
          kind::boolean,
          "Whether to look for offensive content, where the worker has a model for that; `nsfw` "
          "tells what it found.",
          true,
          false,
          {},
          {},
          {}};
}

parameter seed_parameter() {
  parameter p{"seed",
              kind::integer,
              "Start of the random numbers: the same seed draws the same picture. Absent means a "
              "random one, which the answer tells. Further pictures take the numbers after it.",
              {},
              false,
              0,
              last_seed,
              {}};
  p.advice =
      "Leave it out for a random one; of a seed with 64 bits take the remainder by 2^53, which is "
      "what JSON keeps in every client";
  return p;
}

namespace {

// Empty, which is the model's own, then the short names and the classes.
std::vector<std::string> scheduler_choices() {
  std::vector<std::string> out{""};
  for (const scheduler_name& s : scheduler_names) out.emplace_back(s.name);
  for (const scheduler_name& s : scheduler_names) {
    if (std::find(out.begin(), out.end(), s.class_name) == out.end())
      out.emplace_back(s.class_name);
  }
  return out;
}

}  // namespace

std::vector<parameter> sampling_parameters() {
  parameter scheduler = text_parameter(
      "scheduler",
      "The sampler to draw with, by a short name or by its class; empty means the model's own.");
  scheduler.max.reset();
  scheduler.choices = scheduler_choices();
  return {
      std::move(scheduler),
      integer_parameter("clip_skip",
                        "Layers of the text encoder left out at its end. The most is what the "
                        "model's encoder has.",
                        0, 0, 30),
      number_parameter("eta",
                       "How much noise each step adds anew: 0 none, 1 as DDPM. The samplers DDIM "
                       "and TCD heed it.",
                       0, 0, 1),
      number_parameter("guidance_rescale",
                       "Which share of the guided prediction gets its contrast back, against "
                       "overexposure; 0 is none.",
                       0, 0, 1),
  };
}

parameter num_inference_steps_parameter(std::int64_t fallback) {
  return integer_parameter("num_inference_steps",
                           "Number of denoising steps. More take longer and usually draw better.",
                           fallback, 1, 150);
}

parameter num_images_per_prompt_parameter() {
  return integer_parameter("num_images_per_prompt", "Number of pictures to draw.", 1, 1, 16);
}

parameter picture_parameter(std::string name, std::string help, std::uint64_t max_pixels,
                            bool required) {
  parameter p{std::move(name), kind::file, std::move(help), {}, required, {}, {}, {}};
  p.file.picture = true;
  p.file.max_side = 8192;
  p.file.max_pixels = max_pixels;
  return p;
}

parameter mask_parameter(std::string name, std::string help, std::uint64_t max_pixels) {
  parameter p = picture_parameter(std::move(name), std::move(help), max_pixels, false);
  p.file.mask = true;
  return p;
}

result<void> check_loras(const json::object& params) {
  const json::string& text = params.at("loras").as_string();
  if (text.empty()) return {};
  boost::system::error_code bad;
  const json::value loras = json::parse(text, bad);
  const json::object* members = bad ? nullptr : loras.if_object();
  // JSON has no such numbers, but some that write it do.
  const bool odd = bad && (text.find("NaN") != text.npos || text.find("Infinity") != text.npos);
  if (odd) return fail(endless_strength("a LoRA"));
  bool right = members != nullptr;
  if (right) {
    for (const auto& [name, strength] : *members) {
      right = right && strength.is_number();
      if (right && !std::isfinite(strength.to_number<double>())) {
        return fail(endless_strength(fmt::format("\"{}\"", std::string_view(name))));
      }
    }
  }
  if (right) return {};
  return fail(ec::bad_request,
              "loras: expected a JSON object from name to strength, such as {\"style\": 0.8}");
}

result<void> check_seeds(const json::object& params) {
  const json::value* first = params.if_contains("seed");
  const json::value* count = params.if_contains("num_images_per_prompt");
  if (first == nullptr || count == nullptr) return {};
  const std::int64_t most = static_cast<std::int64_t>(last_seed) + 1 - count->to_number<int>();
  if (first->to_number<std::int64_t>() <= most) return {};
  error e{ec::invalid_parameters, "seed: too large for so many pictures", {}};
  e.fields.push_back(
      {{"body", "seed"},
       fmt::format("Input should be less than or equal to {}: {} pictures take the "
                   "seeds from it on, up to {}",
                   most, count->to_number<int>(), static_cast<std::int64_t>(last_seed)),
       "less_than_equal"});
  return fail(std::move(e));
}

double pixels_of(const json::object& params, std::string_view name) {
  const json::value* picture = params.if_contains(name);
  if (picture == nullptr) return 512.0 * 512.0;
  return picture->at("width").to_number<double>() * picture->at("height").to_number<double>();
}

result<std::shared_ptr<model>> load_with_engine(const std::filesystem::path& folder,
                                                const device& where) {
  const auto opened = get_engine();
  if (!opened) return fail(opened.error());
  auto loaded = (*opened)->load_image_model(folder, where);
  if (!loaded) return fail(std::move(loaded.error()));
  // The allocator keeps what is freed for later; a model's memory goes back to the system.
  model* const raw = loaded->get();
  return std::shared_ptr<model>(raw, [held = std::move(*loaded)](model*) mutable {
    held.reset();
    ::malloc_trim(0);
  });
}

}  // namespace lp::pipelines
