// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>

#include <boost/json/object.hpp>

#include "pipelines/description.hpp"

namespace CLI {
class App;
}

namespace lp::job {

/// What the command line gave, by parameter.
using given = std::map<std::string, std::string>;

/// Adds the pipeline as a sub-command with an option for each parameter: --num-inference-steps
/// stands for num_inference_steps. Values land in `values`, which must outlive the app. Files
/// cannot be sent yet, so their parameters have no option.
CLI::App* add_pipeline(CLI::App& app, const pipelines::description& d, given& values);

/// The request's body: what was given, in its right type, checked as the gateway will.
result<boost::json::object> body_of(const pipelines::description& d, const given& values);

}  // namespace lp::job
