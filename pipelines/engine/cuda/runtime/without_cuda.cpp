// SPDX-License-Identifier: MIT
#include "pipelines/engine/cuda/runtime/runtime.hpp"

namespace lp::engine {

runtime_devices enumerate_runtime_devices() {
  return {"none (built without CUDA)", {}};
}

}  // namespace lp::engine
