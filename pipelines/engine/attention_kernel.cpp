// SPDX-License-Identifier: MIT
#include "pipelines/engine/attention_kernel.hpp"

namespace lp::engine {

const attention_kernel& best_attention_kernel([[maybe_unused]] bool bf16) {
#if defined(__x86_64__)
  static const bool has_avx512 =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
      __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0;
  static const bool has_bf16 = has_avx512 && __builtin_cpu_supports("avx512bf16") != 0;
  static const bool has_avx2 =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  if (bf16 && has_bf16) return avx512_bf16_attention();
  if (has_avx512) return avx512_attention();
  if (has_avx2) return avx2_attention();
#endif
  return portable_attention();
}

}  // namespace lp::engine
