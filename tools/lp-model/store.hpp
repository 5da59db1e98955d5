// SPDX-License-Identifier: MIT
// The folder of models as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::model_tool {

struct stored_model {
  std::string id;  ///< the folder's path below the models
  std::string family;
  std::uint64_t bytes = 0;
  bool pulled = false;  ///< from a hub
  std::string
      broken{};  ///< what it lacks, as inspection tells; empty if nothing is known to be wrong
};

/// The models below a folder, in order of id; bad_config if it is none.
result<std::vector<stored_model>> list_models(const std::filesystem::path& models);

/// Something that takes room and serves nothing.
struct leftover {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::string why;
};

/// Unfinished downloads of over a day's age by `now` (or of any, with `all`), and weights that lie
/// twice in a part, of which only the safetensors file is read.
result<std::vector<leftover>> find_leftovers(const std::filesystem::path& models, bool all,
                                             std::filesystem::file_time_type now);

}  // namespace lp::model_tool
