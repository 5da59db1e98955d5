// SPDX-License-Identifier: MIT
// The tiled algorithm of attention_kernel.hpp over GCC's vector types. Only for the files that
// choose LP_VECTOR_FLOATS (floats in a vector) and LP_TILE_ROWS (queries whose accumulators fit the
// registers); everything here is local to them.
#pragma once

#ifndef LP_VECTOR_FLOATS
#define LP_VECTOR_FLOATS 4
#define LP_TILE_ROWS 4
#endif

#include <cstring>

#include "pipelines/engine/attention_kernel.hpp"

namespace lp::engine {
namespace {

inline constexpr int width = LP_VECTOR_FLOATS;
inline constexpr int tile_rows = LP_TILE_ROWS;
inline constexpr int panel_vectors = 3;  // keys of a panel: as many accumulators as registers allow
inline constexpr int panel = panel_vectors * width;
inline constexpr std::int64_t block_rows = 64;

using vec = float __attribute__((vector_size(width * sizeof(float))));
using ivec = std::int32_t __attribute__((vector_size(width * sizeof(float))));

inline vec load(const float* from) {
  vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store(float* to, vec v) {
  std::memcpy(to, &v, sizeof v);
}
inline vec larger(vec a, vec b) {
  return a > b ? a : b;
}

/// 2^x to about 1e-7; at least 2^-126, and NaN of NaN: a score that is none must not vanish. The
/// Taylor series of 2^f on [-0.5, 0.5], to degree 6.
inline vec power_of_two(vec x) {
  constexpr float round_to_integer = 12582912.0F;  // 1.5 * 2^23
  x = larger(vec{} - 126.0F, x);                   // whose second operand is what a NaN leaves
  const vec shifted = x + round_to_integer;
  const vec f = x - (shifted - round_to_integer);
  vec p = f * 1.540353e-4F + 1.3333558e-3F;
  p = p * f + 9.6181291e-3F;
  p = p * f + 5.5504109e-2F;
  p = p * f + 2.4022651e-1F;
  p = p * f + 6.9314718e-1F;
  p = p * f + 1.0F;
  return reinterpret_cast<vec>(reinterpret_cast<ivec>(p) + (reinterpret_cast<ivec>(shifted) << 23));
}

inline float bf16_to_float(std::uint16_t x) {
  const std::uint32_t bits = std::uint32_t{x} << 16;
  float f;
  std::memcpy(&f, &bits, sizeof f);
  return f;
}
/// To the nearest, ties to even; not for NaN.
inline std::uint16_t float_to_bf16(float f) {
  std::uint32_t bits;
  std::memcpy(&bits, &f, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
inline float element(const void* data, std::int64_t index, bool bf16) {
  return bf16 ? bf16_to_float(static_cast<const std::uint16_t*>(data)[index])
              : static_cast<const float*>(data)[index];
}

constexpr std::int64_t round_up(std::int64_t x, std::int64_t to) {
  return (x + to - 1) / to * to;
}

/// Sizes that follow from a problem.
struct plan {
  explicit plan(const attention_problem& p, int group)
      : keys(round_up(p.keys, panel)),
        depth(round_up(p.depth, group)),
        columns(round_up(p.depth, width)) {
    // Keys and values of a tile stay within a quarter of a megabyte, for the second-level cache.
    const auto fit = (std::int64_t{1} << 16) / (depth + columns) / panel * panel;
    tile = fit < panel ? panel : fit > 8 * panel ? 8 * panel : fit;
  }
  std::int64_t keys;     ///< padded to whole panels
  std::int64_t depth;    ///< padded to whole groups
  std::int64_t columns;  ///< of the values, padded to whole vectors
  std::int64_t tile;     ///< keys of one tile, whole panels
};

/// Start of the head's data for batch entry and head.
inline std::int64_t origin(const attention_problem& p, std::int64_t head,
                           std::int64_t batch_stride) {
  return head / p.heads * batch_stride + head % p.heads * p.depth;
}

/// fp32 products; operands are packed as floats, one depth step at a time.
struct fp32_products {
  using value = float;
  static constexpr int group = 1;  ///< depth (or keys) that one multiply-add takes
  static value convert(float x) { return x; }

  /// s[m][0..panel) = sum over depth of q[d][m] k[d][0..panel).
  static void scores(const value* q, const value* k, std::int64_t depth, float* s,
                     std::int64_t s_row) {
    vec acc[tile_rows][panel_vectors] = {};
    for (std::int64_t d = 0; d < depth; ++d, q += tile_rows, k += panel) {
      vec keys[panel_vectors];
      for (int v = 0; v < panel_vectors; ++v) keys[v] = load(k + v * width);
      for (int m = 0; m < tile_rows; ++m)
        for (int v = 0; v < panel_vectors; ++v) acc[m][v] += q[m] * keys[v];
    }
    for (int m = 0; m < tile_rows; ++m)
      for (int v = 0; v < panel_vectors; ++v) store(s + m * s_row + v * width, acc[m][v]);
  }

  /// o[m][0..N vectors) += sum over keys of p[m][j] v[j][0..N vectors).
  template <int N>
  static void add_values(const value* p, std::int64_t p_row, const value* v, std::int64_t columns,
                         std::int64_t keys, float* o, std::int64_t o_row) {
    vec acc[tile_rows][N];
    for (int m = 0; m < tile_rows; ++m)
      for (int n = 0; n < N; ++n) acc[m][n] = load(o + m * o_row + n * width);
    for (std::int64_t j = 0; j < keys; ++j, v += columns) {
      vec values[N];
      for (int n = 0; n < N; ++n) values[n] = load(v + n * width);
      for (int m = 0; m < tile_rows; ++m)
        for (int n = 0; n < N; ++n) acc[m][n] += p[m * p_row + j] * values[n];
    }
    for (int m = 0; m < tile_rows; ++m)
      for (int n = 0; n < N; ++n) store(o + m * o_row + n * width, acc[m][n]);
  }

  static void store_weights(value* p, vec weights) { store(p, weights); }
};

/// The algorithm over a way to multiply.
template <class Products>
struct tiled {
  using value = typename Products::value;
  static constexpr int group = Products::group;

  static std::size_t packed_bytes(const attention_problem& p) {
    const plan s(p, group);
    return static_cast<std::size_t>(round_up(s.keys * (s.depth + s.columns) * sizeof(value), 64));
  }
  static std::size_t scratch_bytes(const attention_problem& p) {
    const plan s(p, group);
    return static_cast<std::size_t>(
        round_up(block_rows * s.depth * sizeof(value), 64) +
        static_cast<std::int64_t>(sizeof(float)) *
            (block_rows * s.columns + 2 * block_rows + 2 * tile_rows * s.tile));
  }

  /// Keys: panels of [depth / group][panel][group]; values: [keys / group][columns][group].
  static void pack(const attention_problem& p, std::int64_t head, void* packed) {
    const plan s(p, group);
    auto* keys = static_cast<value*>(packed);
    auto* values = keys + s.keys * s.depth;
    std::memset(packed, 0, packed_bytes(p));
    const auto k0 = origin(p, head, p.k_batch), v0 = origin(p, head, p.v_batch);
    for (std::int64_t j = 0; j < p.keys; ++j) {
      auto* key = keys + j / panel * panel * s.depth + j % panel * group;
      auto* row = values + j / group * group * s.columns + j % group;
      for (std::int64_t d = 0; d < p.depth; ++d) {
        key[d / group * panel * group + d % group] =
            Products::convert(element(p.k, k0 + j * p.k_row + d, p.bf16));
        row[d * group] = Products::convert(element(p.v, v0 + j * p.v_row + d, p.bf16));
      }
    }
  }

  /// Queries in tiles of [depth / group][tile_rows][group]; missing rows are zero.
  static void pack_queries(const attention_problem& p, const plan& s, std::int64_t head,
                           std::int64_t first, std::int64_t rows, value* q) {
    std::memset(q, 0, static_cast<std::size_t>(block_rows * s.depth) * sizeof(value));
    const auto q0 = origin(p, head, p.q_batch);
    for (std::int64_t i = 0; i < rows; ++i) {
      auto* to = q + i / tile_rows * tile_rows * s.depth + i % tile_rows * group;
      for (std::int64_t d = 0; d < p.depth; ++d)
        to[d / group * tile_rows * group + d % group] =
            Products::convert(element(p.q, q0 + (first + i) * p.q_row + d, p.bf16));
    }
  }

  struct state {
    value* q;
    float* out;      ///< [block_rows][columns], not yet divided by the sums
    float* largest;  ///< [block_rows] of the scores so far
    float* sum;      ///< [block_rows] of the weights so far
    float* scores;   ///< [tile_rows][tile]
    value* weights;  ///< [tile_rows][tile]
  };

  static state divide(const plan& s, void* scratch) {
    auto* bytes = static_cast<char*>(scratch);
    state t;
    t.q = reinterpret_cast<value*>(bytes);
    t.out = reinterpret_cast<float*>(
        bytes + round_up(block_rows * s.depth * static_cast<std::int64_t>(sizeof(value)), 64));
    t.largest = t.out + block_rows * s.columns;
    t.sum = t.largest + block_rows;
    t.scores = t.sum + block_rows;
    t.weights = reinterpret_cast<value*>(t.scores + tile_rows * s.tile);
    return t;
  }

  /// Turns a row of scores into weights 2^(scale (score - largest)) and rescales what came before.
  static void softmax_row(const plan& s, const state& t, std::int64_t row, int m, std::int64_t keys,
                          float scale) {
    float* score = t.scores + m * s.tile;
    vec high = load(score);
    for (std::int64_t j = width; j < keys; j += width) high = larger(high, load(score + j));
    float largest = t.largest[row];
    for (int i = 0; i < width; ++i) largest = high[i] > largest ? high[i] : largest;
    vec sum{};
    for (std::int64_t j = 0; j < keys; j += width) {
      const vec weight = power_of_two((load(score + j) - largest) * scale);
      sum += weight;
      Products::store_weights(t.weights + m * s.tile + j, weight);
    }
    float total = 0;
    for (int i = 0; i < width; ++i) total += sum[i];
    if (largest > t.largest[row]) {
      const float before = power_of_two(vec{} + (t.largest[row] - largest) * scale)[0];
      t.sum[row] *= before;
      float* out = t.out + row * s.columns;
      for (std::int64_t c = 0; c < s.columns; c += width) store(out + c, load(out + c) * before);
      t.largest[row] = largest;
    }
    t.sum[row] += total;
  }

  /// Keys that a query must not see, or that are padding, get the lowest score.
  static void mask(const attention_problem& p, const plan& s, const state& t, std::int64_t query,
                   std::int64_t key0, std::int64_t keys) {
    for (int m = 0; m < tile_rows; ++m) {
      auto visible = p.keys - key0;
      if (p.causal && query + m + 1 - key0 < visible) visible = query + m + 1 - key0;
      for (std::int64_t j = visible < 0 ? 0 : visible; j < keys; ++j)
        t.scores[m * s.tile + j] = lowest;
    }
  }

  static void add_values(const plan& s, const state& t, const value* values, std::int64_t keys,
                         float* out) {
    std::int64_t c = 0;
    for (; c + 3 * width <= s.columns && s.columns - c != 4 * width; c += 3 * width)
      Products::template add_values<3>(t.weights, s.tile, values + c * group, s.columns * group,
                                       keys, out + c, s.columns);
    for (; c + 2 * width <= s.columns; c += 2 * width)
      Products::template add_values<2>(t.weights, s.tile, values + c * group, s.columns * group,
                                       keys, out + c, s.columns);
    if (c < s.columns)
      Products::template add_values<1>(t.weights, s.tile, values + c * group, s.columns * group,
                                       keys, out + c, s.columns);
  }

  static void run(const attention_problem& p, std::int64_t head, std::int64_t first,
                  const void* packed, void* scratch) {
    const plan s(p, group);
    const state t = divide(s, scratch);
    const auto rows = p.queries - first < block_rows ? p.queries - first : block_rows;
    const auto* keys = static_cast<const value*>(packed);
    const auto* values = keys + s.keys * s.depth;
    constexpr float log2_e = 1.4426950408889634F;
    pack_queries(p, s, head, first, rows, t.q);
    std::memset(t.out, 0, static_cast<std::size_t>(block_rows * s.columns) * sizeof(float));
    for (std::int64_t i = 0; i < block_rows; ++i) t.largest[i] = lowest, t.sum[i] = 0;
    for (std::int64_t key0 = 0; key0 < s.keys; key0 += s.tile) {
      if (p.causal && key0 >= first + rows) break;
      const auto count = s.keys - key0 < s.tile ? s.keys - key0 : s.tile;
      for (std::int64_t row = 0; row < rows; row += tile_rows) {
        for (std::int64_t j = 0; j < count; j += panel)
          Products::scores(t.q + row * s.depth, keys + (key0 + j) * s.depth, s.depth / group,
                           t.scores + j, s.tile);
        if (p.causal || key0 + count > p.keys) mask(p, s, t, first + row, key0, count);
        for (int m = 0; m < tile_rows; ++m) softmax_row(s, t, row + m, m, count, p.scale * log2_e);
        add_values(s, t, values + key0 * s.columns, count / group, t.out + row * s.columns);
      }
    }
    write(p, s, t, head, first, rows);
  }

  static void write(const attention_problem& p, const plan& s, const state& t, std::int64_t head,
                    std::int64_t first, std::int64_t rows) {
    const auto out0 = origin(p, head, p.out_batch);
    for (std::int64_t i = 0; i < rows; ++i) {
      const float share = 1 / t.sum[i];
      const float* from = t.out + i * s.columns;
      const auto to = out0 + (first + i) * p.out_row;
      for (std::int64_t d = 0; d < p.depth; ++d) {
        if (p.bf16)
          static_cast<std::uint16_t*>(p.out)[to + d] = float_to_bf16(from[d] * share);
        else
          static_cast<float*>(p.out)[to + d] = from[d] * share;
      }
    }
  }

  static constexpr float lowest = -1e30F;
  static constexpr attention_kernel kernel{block_rows, packed_bytes, scratch_bytes, pack, run};
};

}  // namespace
}  // namespace lp::engine
