// SPDX-License-Identifier: MIT
// Compiled for AVX2 and FMA.
#define LP_VECTOR_FLOATS 8
#define LP_TILE_ROWS 4
#include "pipelines/engine/attention_tiles.hpp"

const lp::engine::attention_kernel& lp::engine::avx2_attention() {
  return tiled<fp32_products>::kernel;
}
