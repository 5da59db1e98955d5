// SPDX-License-Identifier: MIT
// Compiled for AVX-512 with BF16: products of bfloat16 pairs, sums in fp32.
#define LP_VECTOR_FLOATS 16
#define LP_TILE_ROWS 8
#include <immintrin.h>

#include "pipelines/engine/attention_tiles.hpp"

namespace lp::engine {
namespace {

/// Operands are bfloat16 pairs: neighbours in depth (scores) or neighbouring keys (values).
struct bf16_products {
  using value = std::uint16_t;
  static constexpr int group = 2;
  static value convert(float x) { return float_to_bf16(x); }

  static __m512bh pairs(const value* from) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from));
  }
  static __m512bh pair(const value* from) {
    int both;
    std::memcpy(&both, from, sizeof both);
    return reinterpret_cast<__m512bh>(_mm512_set1_epi32(both));
  }

  static void scores(const value* q, const value* k, std::int64_t pair_count, float* s,
                     std::int64_t s_row) {
    __m512 acc[tile_rows][panel_vectors] = {};
    for (std::int64_t d = 0; d < pair_count; ++d, q += 2 * tile_rows, k += 2 * panel) {
      __m512bh keys[panel_vectors];
      for (int v = 0; v < panel_vectors; ++v) keys[v] = pairs(k + 2 * v * width);
      for (int m = 0; m < tile_rows; ++m)
        for (int v = 0; v < panel_vectors; ++v)
          acc[m][v] = _mm512_dpbf16_ps(acc[m][v], pair(q + 2 * m), keys[v]);
    }
    for (int m = 0; m < tile_rows; ++m)
      for (int v = 0; v < panel_vectors; ++v)
        _mm512_storeu_ps(s + m * s_row + v * width, acc[m][v]);
  }

  template <int N>
  static void add_values(const value* p, std::int64_t p_row, const value* v, std::int64_t columns,
                         std::int64_t pair_count, float* o, std::int64_t o_row) {
    __m512 acc[tile_rows][N];
    for (int m = 0; m < tile_rows; ++m)
      for (int n = 0; n < N; ++n) acc[m][n] = _mm512_loadu_ps(o + m * o_row + n * width);
    for (std::int64_t j = 0; j < pair_count; ++j, v += columns) {
      __m512bh values[N];
      for (int n = 0; n < N; ++n) values[n] = pairs(v + 2 * n * width);
      for (int m = 0; m < tile_rows; ++m)
        for (int n = 0; n < N; ++n)
          acc[m][n] = _mm512_dpbf16_ps(acc[m][n], pair(p + m * p_row + 2 * j), values[n]);
    }
    for (int m = 0; m < tile_rows; ++m)
      for (int n = 0; n < N; ++n) _mm512_storeu_ps(o + m * o_row + n * width, acc[m][n]);
  }

  static void store_weights(value* p, vec weights) {
    const auto rounded = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(weights));
    std::memcpy(p, &rounded, sizeof rounded);
  }
};

}  // namespace

const attention_kernel& avx512_bf16_attention() {
  return tiled<bf16_products>::kernel;
}

}  // namespace lp::engine
