// SPDX-License-Identifier: MIT
// A model whose files may go away while it is in use.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "pipelines/model.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// The model that `load` makes, watched: once a mapped file was lost (weights/lost_files.hpp), runs
/// under way fail with ec::load_failed, which names the file, and the model is not usable() any
/// more.
result<std::shared_ptr<pipelines::model>> keep_model(
    const std::function<result<std::shared_ptr<pipelines::model>>()>& load);

}  // namespace lp::engine
