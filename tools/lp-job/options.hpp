// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "pipelines/description.hpp"

namespace CLI {
class App;
}

namespace lp::job {

/// What the command line gave, by parameter.
using given = std::map<std::string, std::string>;

/// Adds the pipeline as a sub-command with an option for each parameter: --num-inference-steps
/// and --num_inference_steps stand for num_inference_steps. Values land in `values`, which must
/// outlive the app; of files these are the paths.
CLI::App* add_pipeline(CLI::App& app, const pipelines::description& d, given& values);

/// A file to send.
struct job_file {
  std::string field;
  std::string name;  ///< without its folders
  std::string bytes;
};

struct job_body {
  boost::json::object params;  ///< what was given, in its right type
  std::vector<job_file> files;
};

/// The request's body, checked as the gateway will. ec::bad_file for a file that cannot be read.
result<job_body> body_of(const pipelines::description& d, const given& values);

}  // namespace lp::job
