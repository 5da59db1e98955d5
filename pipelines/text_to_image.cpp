// SPDX-License-Identifier: MIT
#include "pipelines/model_index.hpp"
#include "pipelines/picture_parameters.hpp"

namespace lp::pipelines {

namespace {

namespace json = boost::json;

std::vector<parameter> text_to_image_parameters() {
  std::vector<parameter> out{
      model_id_parameter(),
      loras_parameter(),
      prompt_parameter("What the picture should show."),
      integer_parameter("height", "Height of the picture in pixels.", 576, 64, 2048),
      integer_parameter("width", "Width of the picture in pixels.", 1024, 64, 2048),
      guidance_scale_parameter(),
      negative_prompt_parameter(),
      safety_check_parameter(),
      seed_parameter(),
      num_inference_steps_parameter(50),
      num_images_per_prompt_parameter(),
  };
  // Beyond the reference.
  for (parameter& p : sampling_parameters()) out.push_back(std::move(p));
  return out;
}

double pixel_steps(const json::object& params) {
  return params.at("height").to_number<double>() * params.at("width").to_number<double>() *
         params.at("num_inference_steps").to_number<double>() *
         params.at("num_images_per_prompt").to_number<double>();
}

result<void> check(const json::object& params) {
  // The reference's answer to an empty prompt, word for word: clients match on it.
  if (params.at("prompt").as_string().empty()) {
    return fail(ec::bad_request, "Prompt must be provided.");
  }
  if (auto ok = check_seeds(params); !ok) return ok;
  return check_loras(params);
}

description text_to_image() {
  description d;
  d.name = "text-to-image";
  d.title = "Text To Image";
  d.summary = "Draws pictures from a text prompt.";
  d.operation_id = "genTextToImage";
  d.body = encoding::json;
  d.result_form = answer::images;
  d.parameters = text_to_image_parameters();
  d.unit = "pixel-step";
  d.units = pixel_steps;
  d.check = check;
  d.accepts = [](const std::filesystem::path& folder) { return tasks_of(folder).from_text; };
  d.load = load_with_engine;
  return d;
}

LP_PIPELINE(text_to_image);

}  // namespace

}  // namespace lp::pipelines
