// SPDX-License-Identifier: MIT
// Attention on the CPU without a score matrix: queries in blocks, keys in tiles, softmax carried
// along (Dao et al., "FlashAttention", 2022, algorithm 1; Milakov and Gimelshein, "Online
// normalizer calculation for softmax", 2018). Plain pointers: each instruction set is a file of its
// own, compiled with its own flags, and includes nothing that other files share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lp::engine {

/// softmax(scale q k^T) v for batch x heads independent heads. Strides count elements; within a
/// token the heads follow one another, `depth` elements each.
struct attention_problem {
  const void* q;
  const void* k;
  const void* v;
  void* out;
  std::int64_t heads, queries, keys, depth;
  std::int64_t q_batch, k_batch, v_batch, out_batch;  ///< strides between batch entries
  std::int64_t q_row, k_row, v_row, out_row;          ///< strides between tokens
  float scale;                                        ///< positive
  bool causal;                                        ///< query i sees keys 0..i
  bool bf16;                                          ///< all four are bfloat16, else float
};

/// One implementation. `head` counts batch entry x heads + head.
struct attention_kernel {
  /// Queries of one run(): what a task of a thread pool should be.
  std::int64_t rows;
  /// Bytes that pack() writes for one head, and that one run() works in; both 64-byte aligned.
  std::size_t (*packed_bytes)(const attention_problem&);
  std::size_t (*scratch_bytes)(const attention_problem&);
  /// Rearranges one head's keys and values.
  void (*pack)(const attention_problem&, std::int64_t head, void* packed);
  /// Computes the outputs of up to `rows` queries from `first` on.
  void (*run)(const attention_problem&, std::int64_t head, std::int64_t first, const void* packed,
              void* scratch);
};

/// The fastest one that this processor can run.
const attention_kernel& best_attention_kernel(bool bf16);

/// Per instruction set; only best_attention_kernel() knows which may be called.
const attention_kernel& portable_attention();
const attention_kernel& avx2_attention();
const attention_kernel& avx512_attention();
const attention_kernel& avx512_bf16_attention();  ///< bf16 problems only

}  // namespace lp::engine
