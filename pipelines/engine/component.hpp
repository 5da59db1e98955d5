// SPDX-License-Identifier: MIT
// One network's weights as they lie on disk: a folder's, or a share of a checkpoint in one file.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "pipelines/engine/checkpoint.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

struct component {
  std::filesystem::path what;  ///< opens messages
  /// Names the files by their places on disk, sizes and times of change: equal as long as they hold
  /// the same. Empty, which equals nothing, where one cannot be looked at.
  std::function<std::string()> where;
  /// The tensors by the names that the network asks for; `ahead` as in open_tensors().
  std::function<result<stored_tensors>(bool ahead)> open;
};

/// The weights of a folder in the Diffusers layout ("unet", "vae", ...).
component folder_component(const std::filesystem::path& folder);

/// component::where of one file, and of those of a folder that open_component() reads.
std::string place_of_file(const std::filesystem::path& file);
std::string place_of_folder(const std::filesystem::path& folder);

/// Whether both hold the same bytes under the same names. What differs in its headers or early in
/// its data is found out without reading more.
bool same_tensors(const stored_tensors& a, const stored_tensors& b);

}  // namespace lp::engine
