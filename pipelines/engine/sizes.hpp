// SPDX-License-Identifier: MIT
// Which picture sizes a model draws, and what becomes of requests for others.
//
// A model may say what it was trained for in a file of ours, lp_model.json, beside its
// model_index.json or its one file. All members are optional:
//
//   {
//     "sizes": [[64, 64], [96, 64]],   width and height in pixels of what it draws well
//     "default_steps": 20,             denoising steps after which more hardly help
//     "max_guidance": 1.5,             guidance scales above this are drawn with it
//     "loras": {"style": 0.8},         LoRA files and strengths that every request gets; what a
//                                      request says of the same name counts, 0 leaves it out
//     "prediction_type": "epsilon",    what the network predicts, or "v_prediction", "sample"
//     "zero_terminal_snr": false,      whether it was trained down to no signal at all
//     "description": "...",            for people
//     "licence": "MIT"
//   }
//
// With "sizes", a request for any size is drawn at the nearest of them and resized. Without, the
// picture is drawn at the requested size, which must be a multiple of what a latent covers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "runtime/base/error.hpp"

namespace lp::engine {

struct picture_size {
  std::int64_t width = 0;   ///< pixels
  std::int64_t height = 0;  ///< pixels
  bool operator==(const picture_size&) const = default;
};

/// "64x96", width first.
std::string to_string(const picture_size& size);

inline constexpr std::int64_t min_picture_side = 64;
inline constexpr std::int64_t max_picture_side = 2048;
inline constexpr std::int64_t max_picture_pixels = std::int64_t{4} << 20;

/// What lp_model.json says.
struct model_facts {
  std::vector<picture_size> sizes;
  int default_steps = 0;    ///< 0: not said
  double max_guidance = 0;  ///< 0: not said
  std::map<std::string, double> loras;
  std::string description;
  std::string licence;
};

/// The facts of a model folder, or of a checkpoint's file; all empty without lp_model.json.
/// ec::bad_file names the wrong member: sides of "sizes" must be multiples of `scale` from `scale`
/// to max_picture_side.
result<model_facts> read_model_facts(const std::filesystem::path& folder, std::int64_t scale);

/// At what size to draw a requested one.
struct size_plan {
  picture_size drawn;
  picture_size wanted;
  bool resizes() const { return drawn != wanted; }
  /// "drawn at 64x64 and resized to 1024x576", or "".
  std::string note() const;
};

/// The nearest of `trained` in aspect ratio, and among equals in area; the wanted size itself if
/// `trained` is empty. ec::invalid_parameters names height or width and the allowed range.
result<size_plan> plan_size(picture_size wanted, const std::vector<picture_size>& trained,
                            std::int64_t scale);

/// [1, 3, h, w] in [0, 1] brought to `size` with an antialiased bicubic filter, held in [0, 1].
at::Tensor resize_picture(const at::Tensor& picture, const picture_size& size);

}  // namespace lp::engine
