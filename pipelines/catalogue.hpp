// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "pipelines/description.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// One model that can be loaded here.
struct catalogue_entry {
  std::string pipeline;
  std::string model;             ///< its id: the folder's (or file's) path below the models folder
  std::filesystem::path folder;  ///< or a checkpoint's file; empty for pipelines without a model
  bool is_default = false;       ///< meant by an empty model_id
  std::filesystem::path pull_into =
      {};  ///< of a hub's model that is not here yet: the models folder
};

/// The models below `models_dir` (folders with a model_index.json and whole_checkpoint() files, at
/// most three levels down) that some pipeline accepts, and the built-in ones. `defaults` maps a
/// pipeline to the model meant by an empty model_id; without an entry a pipeline's first model in
/// order of id is it. A default that is not there is ec::bad_config naming it. An empty
/// `models_dir` means none. Of `hub_models`, ids that a hub has, those that are not here yet are
/// listed for every pipeline that needs a model: what they can do is known when they have been
/// pulled.
result<std::vector<catalogue_entry>> scan_models(const std::filesystem::path& models_dir,
                                                 const std::map<std::string, std::string>& defaults,
                                                 const std::vector<std::string>& hub_models = {});

/// Bytes of a checkpoint's file, or of the weights of a model folder's parts: what loading it is
/// thought to take. 0 for an empty path.
std::uint64_t weight_bytes(const std::filesystem::path& folder);

}  // namespace lp::pipelines
