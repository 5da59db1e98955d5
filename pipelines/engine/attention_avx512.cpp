// SPDX-License-Identifier: MIT
// Compiled for AVX-512 F, VL, BW and DQ.
#define LP_VECTOR_FLOATS 16
#define LP_TILE_ROWS 8
#include "pipelines/engine/attention_tiles.hpp"

const lp::engine::attention_kernel& lp::engine::avx512_attention() {
  return tiled<fp32_products>::kernel;
}
