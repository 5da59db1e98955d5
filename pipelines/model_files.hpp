// SPDX-License-Identifier: MIT
// Which files make a model: what to download of a repository and what a folder lacks.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// A part of a model as model_index.json names it: "unet": ["diffusers", "UNet2DConditionModel"].
struct model_part {
  std::string name;  ///< also its folder
  std::string library;
  std::string class_name;

  bool has_weights() const;
};

/// Whether a model runs without it: the safety checker, whose pictures then go unchecked.
bool may_lack(const model_part& part);

/// The parts that a model_index.json names, those that are null left out. ec::bad_file otherwise.
result<std::vector<model_part>> parts_of_index(std::string_view model_index);

/// Of a repository's files those that running it takes: settings, vocabularies, and one set of
/// weights a part. Safetensors go before .bin files; the variant asked for ("fp16", say) before
/// the plain one, that before any other. Other frameworks' weights and files of several parts in
/// one are left out where there is a model_index.json; without one (an empty text)
/// the files of the top folder count. In the order to fetch them: model_index.json is the last,
/// so that a folder becomes a model when it is whole.
result<std::vector<std::string>> needed_files(const std::vector<std::string>& paths,
                                              std::string_view model_index,
                                              std::string_view variant = {});

/// What a folder in the Diffusers layout lacks, each for a person: "unet: no weights".
std::vector<std::string> missing_parts(const std::filesystem::path& folder);

}  // namespace lp::pipelines
