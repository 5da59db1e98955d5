// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>

namespace lp::engine {

/// The tensor on that device. To a GPU it goes by way of pinned memory, in order with the current
/// stream, and nobody waits for it.
at::Tensor upload(const at::Tensor& from, at::Device to);

}  // namespace lp::engine
