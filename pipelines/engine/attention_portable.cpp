// SPDX-License-Identifier: MIT
// Compiled for the processor that the whole library is compiled for.
#include "pipelines/engine/attention_tiles.hpp"

const lp::engine::attention_kernel& lp::engine::portable_attention() {
  return tiled<fp32_products>::kernel;
}
