// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace lp::engine {

/// softmax(q k^T / sqrt(d)) v for each head; the one attention routine of all networks.
/// q [N, L, heads*d], k and v [N, S, heads*d] -> [N, L, heads*d], dtype of q. `causal` hides keys
/// behind the query's own position (L == S). Softmax is in fp32. Without gradients the score matrix
/// is never held as a whole; with gradients it is the plain bmm-softmax-bmm. On GPUs libtorch 2's
/// kernels compute it.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     std::int64_t heads, bool causal = false);

}  // namespace lp::engine
