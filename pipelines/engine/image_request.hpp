// SPDX-License-Identifier: MIT
// From a job's parameters and pictures to what the pipeline draws.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "pipelines/engine/sizes.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/model.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// A job's parameters as the model takes them.
struct image_job {
  drawing_request request;
  size_plan size;
  std::int64_t seed = 0;
  std::map<std::string, double> loras;  ///< strength by name
  std::vector<std::string> notes;
};

/// What is known of the model that shall do the job.
struct image_model_facts {
  std::string name;  ///< of its folder
  model_facts sizes;
  diffusion_kind kind = diffusion_kind::drawing;
  std::int64_t scale = 8;
  bool two_prompts = false;
};

/// Distilled models draw as they were trained to, whatever the request says: one whose id ends in
/// "-turbo" without guidance, one whose id holds "_Nstep" with N steps and without guidance. The id
/// is the request's model_id, or the folder's name where that is empty. ec::invalid_parameters
/// names the field. `with_pictures` false leaves the pictures' values out: enough to foresee
/// memory.
result<image_job> read_image_job(const pipelines::job_input& input, const image_model_facts& model,
                                 bool with_pictures = true);

}  // namespace lp::engine
