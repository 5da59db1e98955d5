// SPDX-License-Identifier: MIT
// What a thread does in each phase of group normalisation, as functions that a test can run on the
// CPU, thread by thread. Between phases all threads of a block have met.
//
// Sums are of x less a number of the group itself, its first: what is left is small where the
// deviation is small beside the mean, which a sum of plain squares would lose.
#pragma once

#include <cmath>
#include <cstdint>

#include "pipelines/engine/cuda/kernels/numbers.hpp"

namespace lp::engine::group_norm_phases {

/// An entry's positions are cut into pieces of so many; a block takes one.
struct plan {
  std::int64_t positions, channels, groups;
  std::int64_t piece;   ///< positions of a block
  std::int64_t pieces;  ///< of an entry

  LP_HOST_DEVICE std::int64_t group_size() const { return channels / groups; }
};

/// A block's place.
struct place {
  std::int64_t entry, piece;
  int thread, threads;
};

template <class Number>
LP_HOST_DEVICE float shift_of(const plan& p, const Number* x, std::int64_t entry,
                              std::int64_t group) {
  return as_float(x[entry * p.positions * p.channels + group * p.group_size()]);
}

LP_HOST_DEVICE inline std::int64_t last_position(const plan& p, std::int64_t piece) {
  const auto end = (piece + 1) * p.piece;
  return end < p.positions ? end : p.positions;
}

/// Sums of the block's positions, a channel a thread: shared[channel] of the numbers and
/// shared[channels + channel] of their squares.
template <class Number>
LP_HOST_DEVICE void sum_channels(const plan& p, const place& at, const Number* x, float* shared) {
  const Number* entry = x + at.entry * p.positions * p.channels;
  for (std::int64_t c = at.thread; c < p.channels; c += at.threads) {
    const float shift = shift_of(p, x, at.entry, c / p.group_size());
    float sum = 0, squares = 0;
    for (auto i = at.piece * p.piece; i < last_position(p, at.piece); ++i) {
      const float value = as_float(entry[i * p.channels + c]) - shift;
      sum += value;
      squares += value * value;
    }
    shared[c] = sum;
    shared[p.channels + c] = squares;
  }
}

/// The same of whole groups, into partial [entries, pieces, groups, 2].
LP_HOST_DEVICE inline void sum_groups(const plan& p, const place& at, const float* shared,
                                      float* partial) {
  for (std::int64_t g = at.thread; g < p.groups; g += at.threads) {
    float sum = 0, squares = 0;
    for (auto c = g * p.group_size(); c < (g + 1) * p.group_size(); ++c) {
      sum += shared[c];
      squares += shared[p.channels + c];
    }
    float* to = partial + ((at.entry * p.pieces + at.piece) * p.groups + g) * 2;
    to[0] = sum;
    to[1] = squares;
  }
}

/// A block a group: each thread's share of the pieces' sums, into shared [threads, 2].
LP_HOST_DEVICE inline void sum_pieces(const plan& p, std::int64_t entry, std::int64_t group,
                                      int thread, int threads, const float* partial,
                                      float* shared) {
  float sum = 0, squares = 0;
  for (std::int64_t piece = thread; piece < p.pieces; piece += threads) {
    const float* from = partial + ((entry * p.pieces + piece) * p.groups + group) * 2;
    sum += from[0];
    squares += from[1];
  }
  shared[thread * 2] = sum;
  shared[thread * 2 + 1] = squares;
}

/// What one thread of the block makes of that: mean and reciprocal deviation of the group, into
/// moments [entries, groups, 2].
template <class Number>
LP_HOST_DEVICE void moments_of(const plan& p, std::int64_t entry, std::int64_t group, int threads,
                               float eps, const Number* x, const float* shared, float* moments) {
  float sum = 0, squares = 0;
  for (int t = 0; t < threads; ++t) {
    sum += shared[t * 2];
    squares += shared[t * 2 + 1];
  }
  const auto count = static_cast<float>(p.positions * p.group_size());
  const float mean = sum / count;
  const float variance = squares / count - mean * mean;
  float* to = moments + (entry * p.groups + group) * 2;
  to[0] = mean + shift_of(p, x, entry, group);
  to[1] = 1.0F / sqrtf((variance > 0 ? variance : 0.0F) + eps);
}

/// The block's positions, normed.
template <class Number>
LP_HOST_DEVICE void apply(const plan& p, const place& at, const Number* x, const Number* weight,
                          const Number* bias, const float* moments, bool silu, Number* out) {
  const auto start = at.entry * p.positions * p.channels;
  for (std::int64_t c = at.thread; c < p.channels; c += at.threads) {
    const float* of = moments + (at.entry * p.groups + c / p.group_size()) * 2;
    const float mean = of[0];
    const float factor = of[1] * as_float(weight[c]);
    const float offset = as_float(bias[c]);
    for (auto i = at.piece * p.piece; i < last_position(p, at.piece); ++i) {
      const auto here = start + i * p.channels + c;
      const float y = (as_float(x[here]) - mean) * factor + offset;
      store(out[here], silu ? y / (1.0F + expf(-y)) : y);
    }
  }
}

}  // namespace lp::engine::group_norm_phases
