// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <string>

#include <c10/core/InferenceMode.h>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// ec::out_of_memory if the exception says that memory was not to be had, ec::load_failed if a part
/// that is loaded for each use (part.hpp) could not be, else
/// ec::pipeline_failed with its first line.
error error_of(const std::exception& thrown);

/// Runs `body`, which returns a result, without gradients; exceptions become errors.
template <class Body>
auto guarded(Body body) -> decltype(body()) {
  try {
    const c10::InferenceMode no_gradients;
    return body();
  } catch (const std::exception& thrown) {
    return fail(error_of(thrown));
  }
}

}  // namespace lp::engine
