// SPDX-License-Identifier: MIT
#include "pipelines/engine/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

namespace lp::engine {

namespace {

/// [N, L, heads*d] -> [N*heads, L, d].
at::Tensor split_heads(const at::Tensor& x, std::int64_t heads) {
  const auto n = x.size(0), length = x.size(1), d = x.size(2) / heads;
  return x.view({n, length, heads, d}).transpose(1, 2).reshape({n * heads, length, d});
}

at::Tensor merge_heads(const at::Tensor& x, std::int64_t heads) {
  const auto n = x.size(0) / heads, length = x.size(1), d = x.size(2);
  return x.view({n, heads, length, d}).transpose(1, 2).reshape({n, length, heads * d});
}

/// Adds -inf above the diagonal that starts at column `first_row`.
at::Tensor causal_mask(std::int64_t rows, std::int64_t columns, std::int64_t first_row,
                       const at::TensorOptions& options) {
  const auto all = at::full({rows, columns}, -std::numeric_limits<float>::infinity(), options);
  return at::triu(all, first_row + 1);
}

at::Tensor softmax_fp32(const at::Tensor& scores) {
  return at::softmax(scores, -1, at::kFloat).to(scores.scalar_type());
}

/// Query rows at a time so that the scores of one step stay within a cache-friendly 16 MiB.
std::int64_t rows_per_chunk(std::int64_t batch, std::int64_t keys) {
  constexpr std::int64_t elements = 4 << 20;
  return std::clamp<std::int64_t>(elements / std::max<std::int64_t>(1, batch * keys), 64, 4096);
}

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     std::int64_t heads, bool causal) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(2) / heads));
  // The query is scaled beforehand: 1.13's baddbmm with beta = 0 multiplies uninitialised memory.
  const auto queries = split_heads(q * scale, heads);
  const auto keys = split_heads(k, heads).transpose(1, 2);
  const auto values = split_heads(v, heads);
  const auto length = queries.size(1);
  const auto chunk =
      c10::GradMode::is_enabled() ? length : rows_per_chunk(queries.size(0), keys.size(2));
  const auto scores_of = [&](std::int64_t first, std::int64_t rows) {
    const auto scores = at::bmm(queries.narrow(1, first, rows), keys);
    if (!causal) return scores;
    return scores + causal_mask(rows, keys.size(2), first, scores.options());
  };
  if (chunk >= length)
    return merge_heads(at::bmm(softmax_fp32(scores_of(0, length)), values), heads);
  auto out = at::empty_like(queries);
  for (std::int64_t first = 0; first < length; first += chunk) {
    const auto rows = std::min(chunk, length - first);
    out.narrow(1, first, rows).copy_(at::bmm(softmax_fp32(scores_of(first, rows)), values));
  }
  return merge_heads(out, heads);
}

}  // namespace lp::engine
