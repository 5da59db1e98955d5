// SPDX-License-Identifier: MIT
#include "pipelines/media/rgb_image.hpp"
#include "pipelines/model_index.hpp"
#include "pipelines/picture_parameters.hpp"

namespace lp::pipelines {

namespace {

namespace json = boost::json;

constexpr std::uint64_t most_pixels = std::uint64_t{1} << 20;  // of which four times four come out
constexpr std::uint32_t longest_side = max_image_side / 4;     // of which a file can hold four

std::vector<parameter> upscale_parameters() {
  std::vector<parameter> out{
      prompt_parameter("What the picture shows; may be empty."),
      picture_parameter("image", "The picture to enlarge.", most_pixels),
      model_id_parameter(),
      safety_check_parameter(),
      seed_parameter(),
      num_inference_steps_parameter(75),
  };
  out[1].file.max_side = longest_side;
  return out;
}

description upscale() {
  description d;
  d.name = "upscale";
  d.title = "Upscale";
  d.summary = "Enlarges a picture four times in width and height.";
  d.operation_id = "genUpscale";
  d.body = encoding::multipart;
  d.result_form = answer::images;
  d.parameters = upscale_parameters();
  d.unit = "pixel-step";
  d.units = [](const json::object& params) {
    return pixels_of(params, "image") * params.at("num_inference_steps").to_number<double>();
  };
  d.accepts = [](const std::filesystem::path& folder) { return tasks_of(folder).upscales; };
  d.load = load_with_engine;
  return d;
}

LP_PIPELINE(upscale);

}  // namespace

}  // namespace lp::pipelines
