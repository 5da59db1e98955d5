// SPDX-License-Identifier: MIT
#include "pipelines/model_index.hpp"
#include "pipelines/picture_parameters.hpp"

namespace lp::pipelines {

namespace {

namespace json = boost::json;

constexpr std::uint64_t most_pixels = std::uint64_t{16} << 20;

std::vector<parameter> image_to_image_parameters() {
  std::vector<parameter> out{
      prompt_parameter("What the picture should show afterwards.", false),
      picture_parameter("image", "The picture to start from.", most_pixels),
      model_id_parameter(),
      loras_parameter(),
      number_parameter("strength",
                       "How much of the picture is drawn anew: near 0 it stays, 1 leaves nothing.",
                       0.8, 0, 1),
      guidance_scale_parameter(),
      number_parameter("image_guidance_scale",
                       "How closely an editing model keeps to the picture; other models ignore it.",
                       1.5, 0, 50),
      negative_prompt_parameter(),
      safety_check_parameter(),
      seed_parameter(),
      num_inference_steps_parameter(100),
      num_images_per_prompt_parameter(),
      // Beyond the reference.
      mask_parameter("mask_image",
                     "Where it is white the picture is drawn anew, where it is black it stays. Its "
                     "transparency does not count, as in the Python library.",
                     most_pixels),
  };
  for (parameter& p : sampling_parameters()) out.push_back(std::move(p));
  return out;
}

result<void> check(const json::object& params) {
  if (auto ok = check_seeds(params); !ok) return ok;
  return check_loras(params);
}

double pixel_steps(const json::object& params) {
  return pixels_of(params, "image") * params.at("num_inference_steps").to_number<double>() *
         params.at("num_images_per_prompt").to_number<double>();
}

description image_to_image() {
  description d;
  d.name = "image-to-image";
  d.title = "Image To Image";
  d.summary = "Draws a picture anew from a text prompt.";
  d.operation_id = "genImageToImage";
  d.body = encoding::multipart;
  d.result_form = answer::images;
  d.parameters = image_to_image_parameters();
  d.unit = "pixel-step";
  d.units = pixel_steps;
  d.check = check;
  d.accepts = [](const std::filesystem::path& folder) { return tasks_of(folder).from_image; };
  d.load = load_with_engine;
  return d;
}

LP_PIPELINE(image_to_image);

}  // namespace

}  // namespace lp::pipelines
