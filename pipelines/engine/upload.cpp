// SPDX-License-Identifier: MIT
#include "pipelines/engine/upload.hpp"

namespace lp::engine {

at::Tensor upload(const at::Tensor& from, at::Device to) {
  if (!to.is_cuda() || !from.is_cpu()) return from.to(to);
  // Pinned memory is given back only when the copy is done: libtorch sees to it.
  return from.pin_memory().to(to, from.scalar_type(), /*non_blocking=*/true);
}

}  // namespace lp::engine
