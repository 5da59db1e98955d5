// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include "pipelines/engine/checkpoint.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// The tensors of a file that weights/pickle_archive.hpp reads; they lie in the mapped file.
result<stored_tensors> open_pickle(const std::filesystem::path& file, bool ahead);

}  // namespace lp::engine
