// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
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
      {};                       ///< of a hub's model that is not here yet: the models folder
  std::string class_name = {};  ///< of its pipeline, as model_class(); empty where it is not known
};

/// The models below `models_dir` (folders with a model_index.json and whole_checkpoint() files, at
/// most three levels down, and three more below a folder with an "@", which begins a revision) that
/// some pipeline accepts, and the built-in ones. `defaults` maps a pipeline to the model meant by
/// an empty model_id; without an entry it is chosen, see choose_defaults(). A default that is not
/// there is ec::bad_config naming it. An empty `models_dir` means none. Of `hub_models`, ids that a
/// hub has, those that are not here yet are listed for every pipeline that needs a model: what they
/// can do is known when they have been pulled.
result<std::vector<catalogue_entry>> scan_models(const std::filesystem::path& models_dir,
                                                 const std::map<std::string, std::string>& defaults,
                                                 const std::vector<std::string>& hub_models = {});

// -- what scan_models() is made of
// ------------------------------------------------------------------

/// Places of models below a folder, whatever they are; nothing where it cannot be read.
/// `is_checkpoint` says whether a file is one.
std::optional<std::vector<std::filesystem::path>> find_models(
    const std::filesystem::path& models_dir,
    const std::function<bool(const std::filesystem::path&)>& is_checkpoint);

/// One model's entries, none of them a default: one for each pipeline that accepts it.
std::vector<catalogue_entry> offers_of(const std::filesystem::path& models_dir,
                                       const std::filesystem::path& model);
void add_built_in(std::vector<catalogue_entry>& entries);
void add_hub_model(const std::filesystem::path& models_dir, const std::string& id,
                   std::vector<catalogue_entry>& entries);

/// Puts the entries in order and marks what an empty model_id of each pipeline means: the one that
/// `wished` names, or nothing if that is not there; else the one of `kept` if it is there; else a
/// built-in one, else the plainest: Stable Diffusion's own class, then SDXL, and those that need
/// more than a prompt or draw something else last. A model that only repaints, which needs a mask,
/// is never a default, so that there may be none.
void choose_defaults(std::vector<catalogue_entry>& entries,
                     const std::map<std::string, std::string>& wished,
                     const std::map<std::string, std::string>& kept = {});

/// Bytes of a checkpoint's file, or of the weights of a model folder's parts: what loading it is
/// thought to take. 0 for an empty path.
std::uint64_t weight_bytes(const std::filesystem::path& folder);

}  // namespace lp::pipelines
