// SPDX-License-Identifier: MIT
// Parameters and checks that the pipelines which make pictures share. Names, order and defaults are
// the reference's; the ranges are ours.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "pipelines/description.hpp"

namespace lp::pipelines {

inline constexpr double longest_text = 4000;           ///< characters of a prompt
inline constexpr double last_seed = 9007199254740991;  ///< 2^53-1: what JSON keeps in any client

parameter text_parameter(std::string name, std::string help, double longest = longest_text);
parameter integer_parameter(std::string name, std::string help, std::int64_t fallback, double min,
                            double max);
parameter number_parameter(std::string name, std::string help, double fallback, double min,
                           double max);

parameter model_id_parameter();
parameter loras_parameter();
/// A prompt that must be given. Where `may_be_empty` is false, an empty one is a wrong field.
parameter prompt_parameter(std::string help, bool may_be_empty = true);
parameter guidance_scale_parameter();
parameter negative_prompt_parameter();
parameter safety_check_parameter();
parameter seed_parameter();
parameter num_inference_steps_parameter(std::int64_t fallback);
/// How pictures are sampled, beyond the reference: scheduler, clip_skip, eta, guidance_rescale.
std::vector<parameter> sampling_parameters();
parameter num_images_per_prompt_parameter();
/// A picture of at most `max_pixels`, 8192 a side.
parameter picture_parameter(std::string name, std::string help, std::uint64_t max_pixels,
                            bool required = true);

/// The same of a picture whose brightness counts.
parameter mask_parameter(std::string name, std::string help, std::uint64_t max_pixels);

/// The `loras` of a request are empty or a JSON object from name to number.
result<void> check_loras(const boost::json::object& params);

/// Every picture of a request has a seed that can be asked for again: the last one's, too, is
/// within last_seed.
result<void> check_seeds(const boost::json::object& params);

/// Pixels of the picture `name` of a validated request. 512 * 512 where it is not there, as when
/// only a price is asked for.
double pixels_of(const boost::json::object& params, std::string_view name);

/// Loads the model with the engine: description::load of every pipeline that makes pictures.
result<std::shared_ptr<model>> load_with_engine(const std::filesystem::path& folder,
                                                const device& where);

}  // namespace lp::pipelines
