// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lp::pipelines {

/// What a model, a folder or a checkpoint's file, lacks to be loaded, as far as settings and the
/// headers of its weights tell: parts and shards that are not there, files that are cut short, the
/// words of a tokenizer. Each for a person, with paths from the model on; empty if nothing is known
/// to be wrong. Reads no weights.
std::vector<std::string> lacks_of(const std::filesystem::path& model);

}  // namespace lp::pipelines
