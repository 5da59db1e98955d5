// SPDX-License-Identifier: MIT
// Which files of a part's folder ("unet", "text_encoder") are its weights.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// One file, or an index of several.
struct part_weights {
  std::filesystem::path file;   ///< empty where there is an index
  std::filesystem::path index;  ///< "diffusion_pytorch_model.safetensors.index.json"
};

/// The set to load of those that lie there: safetensors before pickles, the full one before
/// ".fp16." and that before other variants; else the only file of weights, whatever its name.
/// Nothing where no file is meant.
std::optional<part_weights> find_weights(const std::filesystem::path& folder);

/// By an index: each file beside it and the tensors that it should hold. ec::bad_file for an index
/// that makes no sense or names a file elsewhere.
result<std::map<std::string, std::set<std::string>>> read_shards(
    const std::filesystem::path& index);

/// The files of find_weights(), the index among them; none where it finds nothing or an index that
/// read_shards() refuses.
std::vector<std::filesystem::path> weight_files(const std::filesystem::path& folder);

}  // namespace lp::pipelines
