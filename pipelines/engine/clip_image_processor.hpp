// SPDX-License-Identifier: MIT
// How a picture becomes what CLIP's picture encoder takes (CLIPImageProcessor).
#pragma once

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>
#include <boost/json/fwd.hpp>

#include "pipelines/media/resample.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

struct clip_image_config {
  bool resizes = true;
  /// The shorter side after resizing, in pixels; 0: exactly width x height.
  std::int64_t shortest_edge = 224;
  std::int64_t width = 0, height = 0;
  pipelines::resampling filter = pipelines::resampling::bicubic;
  /// Of old transformers; newer ones resize with torchvision.
  pipelines::weight_places places = pipelines::weight_places::pillow;
  bool crops = true;  ///< the middle
  std::int64_t crop_width = 224, crop_height = 224;
  bool rescales = true;
  double rescale_factor = 1.0 / 255;
  bool normalizes = true;
  // Mean and deviation of CLIP's training pictures, by channel.
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> deviation{0.26862954, 0.26130258, 0.27577711};
};

/// From a preprocessor_config.json; sizes may be numbers, as in old files, or objects. Absent
/// members have CLIP's values; ec::bad_file names the wrong one.
result<clip_image_config> parse_clip_image_config(const boost::json::object& config);

/// The picture resized, cropped, scaled and normalised: fp32 [1, 3, height, width].
/// ec::invalid_parameters where it is too small for the crop, which takes no part in resizing.
result<at::Tensor> process_clip_image(const pipelines::rgb_image& picture,
                                      const clip_image_config& config);

}  // namespace lp::engine
