// SPDX-License-Identifier: MIT
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>

#include "pipelines/description.hpp"
#include "pipelines/engine.hpp"
#include "pipelines/model_index.hpp"

namespace lp::pipelines {

namespace {

namespace json = boost::json;
using kind = parameter::kind;

constexpr double longest_text = 4000;           // bytes; the encoder reads 77 tokens of it
constexpr double last_seed = 9007199254740991;  // 2^53-1: what a JSON number keeps in any client

std::vector<parameter> image_parameters() {
  return {
      {"model_id",
       kind::string,
       "The model to draw with; empty means the default model.",
       "",
       false,
       {},
       512,
       {}},
      {"loras",
       kind::string,
       "LoRA weights to add to the model, as a JSON object from name to strength.",
       "",
       false,
       {},
       longest_text,
       {}},
      {"prompt", kind::string, "What the picture should show.", {}, true, {}, longest_text, {}},
      {"height", kind::integer, "Height of the picture in pixels.", 576, false, 64, 2048, {}},
      {"width", kind::integer, "Width of the picture in pixels.", 1024, false, 64, 2048, {}},
      {"guidance_scale",
       kind::number,
       "How closely the picture keeps to the prompt; 1 and below turn guidance off.",
       7.5,
       false,
       0,
       50,
       {}},
      {"negative_prompt",
       kind::string,
       "What the picture should not show. Has no effect without guidance.",
       "",
       false,
       {},
       longest_text,
       {}},
      {"safety_check",
       kind::boolean,
       "Whether to look for offensive content, where the model has a checker.",
       true,
       false,
       {},
       {},
       {}},
      {"seed",
       kind::integer,
       "Start of the random numbers: the same seed draws the same picture. Absent means a random "
       "one, which the answer tells. Further pictures take the numbers after it.",
       {},
       false,
       0,
       last_seed,
       {}},
      {"num_inference_steps",
       kind::integer,
       "Number of denoising steps. More take longer and usually draw better.",
       50,
       false,
       1,
       150,
       {}},
      {"num_images_per_prompt", kind::integer, "Number of pictures to draw.", 1, false, 1, 16, {}},
  };
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
  const json::string& loras = params.at("loras").as_string();
  if (!loras.empty() && loras != "{}") {
    return fail(ec::bad_request,
                "loras: LoRA weights cannot be added to the models here; leave it empty.");
  }
  return {};
}

description text_to_image() {
  description d;
  d.name = "text-to-image";
  d.title = "Text To Image";
  d.summary = "Draws pictures from a text prompt.";
  d.operation_id = "genTextToImage";
  d.body = encoding::json;
  d.result_form = answer::images;
  d.parameters = image_parameters();
  d.unit = "pixel-step";
  d.units = pixel_steps;
  d.check = check;
  d.accepts = [](const std::filesystem::path& folder) { return tasks_of(folder).from_text; };
  d.load = [](const std::filesystem::path& folder,
              const device& where) -> result<std::shared_ptr<model>> {
    const auto opened = get_engine();
    if (!opened) return fail(opened.error());
    return (*opened)->load_image_model(folder, where);
  };
  return d;
}

LP_PIPELINE(text_to_image);

}  // namespace

}  // namespace lp::pipelines
