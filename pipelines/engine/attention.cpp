// SPDX-License-Identifier: MIT
#include "pipelines/engine/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>
#include <torch/version.h>

#include "pipelines/engine/attention_kernel.hpp"

namespace lp::engine {

namespace {

/// [N, L, heads*d] -> [N*heads, L, d].
at::Tensor split_heads(const at::Tensor& x, std::int64_t heads) {
  const auto n = x.size(0), length = x.size(1), d = x.size(2) / heads;
  return x.reshape({n, length, heads, d}).transpose(1, 2).reshape({n * heads, length, d});
}

at::Tensor merge_heads(const at::Tensor& x, std::int64_t heads) {
  const auto n = x.size(0) / heads, length = x.size(1), d = x.size(2);
  return x.view({n, heads, length, d}).transpose(1, 2).reshape({n, length, heads * d});
}

/// -inf where a query would see a later key.
at::Tensor causal_mask(std::int64_t queries, std::int64_t keys, const at::TensorOptions& options) {
  return at::triu(at::full({queries, keys}, -std::numeric_limits<float>::infinity(), options), 1);
}

/// Scores that are held at once where nothing else bounds them.
constexpr std::int64_t scores_at_once = std::int64_t{1} << 27;

/// By the book, for gradients and for devices other than the CPU.
at::Tensor plain(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t heads,
                 bool causal, double scale) {
  const auto rows = std::max<std::int64_t>(1, scores_at_once / (q.size(0) * heads * k.size(1)));
  if (!c10::GradMode::is_enabled() && !causal && rows < q.size(1)) {
    std::vector<at::Tensor> slices;
    for (std::int64_t at = 0; at < q.size(1); at += rows)
      slices.push_back(
          plain(q.narrow(1, at, std::min(rows, q.size(1) - at)), k, v, heads, false, scale));
    return at::cat(slices, 1);
  }
  // The query is scaled beforehand: 1.13's baddbmm with beta = 0 multiplies uninitialised memory.
  auto scores = at::bmm(split_heads(q * scale, heads), split_heads(k, heads).transpose(1, 2));
  if (causal) scores = scores + causal_mask(q.size(1), k.size(1), scores.options());
  const auto weights = at::softmax(scores, -1, at::kFloat).to(q.scalar_type());
  return merge_heads(at::bmm(weights, split_heads(v, heads)), heads);
}

/// On GPUs, with libtorch's own kernels where it has them.
at::Tensor on_gpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t heads,
                  bool causal, double scale) {
#if TORCH_VERSION_MAJOR >= 2
  (void)scale;  // theirs by default
  const auto heads_first = [heads](const at::Tensor& x) {
    return x.reshape({x.size(0), x.size(1), heads, -1}).transpose(1, 2);
  };
  const auto out = at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v),
                                                    {}, 0.0, causal);
  return out.transpose(1, 2).reshape(q.sizes());
#else
  return plain(q, k, v, heads, causal, scale);
#endif
}

at::Tensor dense_tokens(const at::Tensor& x) {
  return x.stride(2) == 1 ? x : x.contiguous();
}

attention_problem describe(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& out, std::int64_t heads, bool causal, double scale) {
  return {.q = q.data_ptr(),
          .k = k.data_ptr(),
          .v = v.data_ptr(),
          .out = out.data_ptr(),
          .heads = heads,
          .queries = q.size(1),
          .keys = k.size(1),
          .depth = q.size(2) / heads,
          .q_batch = q.stride(0),
          .k_batch = k.stride(0),
          .v_batch = v.stride(0),
          .out_batch = out.stride(0),
          .q_row = q.stride(1),
          .k_row = k.stride(1),
          .v_row = v.stride(1),
          .out_row = out.stride(1),
          .scale = static_cast<float>(scale),
          .causal = causal,
          .bf16 = q.scalar_type() == at::kBFloat16};
}

at::Tensor tiled(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t heads,
                 bool causal, double scale) {
  auto out = at::empty(q.sizes(), q.options());
  const auto problem = describe(q, k, v, out, heads, causal, scale);
  const auto& kernel = best_attention_kernel(problem.bf16);
  const auto all_heads = q.size(0) * heads;
  const auto head_bytes = static_cast<std::int64_t>(kernel.packed_bytes(problem));
  const auto bytes = [](std::int64_t count) { return at::empty({count}, at::kByte); };
  const auto packed = bytes(all_heads * head_bytes);
  auto* const start = static_cast<char*>(packed.data_ptr());
  at::parallel_for(0, all_heads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto head = begin; head < end; ++head)
      kernel.pack(problem, head, start + head * head_bytes);
  });
  const auto blocks = (problem.queries + kernel.rows - 1) / kernel.rows;
  at::parallel_for(0, all_heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    const auto scratch = bytes(static_cast<std::int64_t>(kernel.scratch_bytes(problem)));
    for (auto task = begin; task < end; ++task) {
      const auto head = task / blocks;
      kernel.run(problem, head, task % blocks * kernel.rows, start + head * head_bytes,
                 scratch.data_ptr());
    }
  });
  return out;
}

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     std::int64_t heads, bool causal) {
  const auto depth = q.size(2) / heads;
  const double scale = 1.0 / std::sqrt(static_cast<double>(depth));
  const auto dtype = q.scalar_type();
  const bool kernel_takes_it = q.is_cpu() && (dtype == at::kFloat || dtype == at::kBFloat16) &&
                               k.scalar_type() == dtype && v.scalar_type() == dtype;
  if (q.is_cuda() && !c10::GradMode::is_enabled()) return on_gpu(q, k, v, heads, causal, scale);
  if (c10::GradMode::is_enabled() || !kernel_takes_it) return plain(q, k, v, heads, causal, scale);
  return tiled(dense_tokens(q), dense_tokens(k), dense_tokens(v), heads, causal, scale);
}

}  // namespace lp::engine
