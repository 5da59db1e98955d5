// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>

#include <ATen/core/Tensor.h>

namespace lp::engine {

/// Numbers in a private mapping of a file, which `keep` holds; `bytes` from `data` on are the
/// tensor's. When the tensor ends, the process lets go of the pages that only it lies in: weights
/// that were converted or put into another order are not held twice. Should another tensor of the
/// same bytes look at them, they come back from the file, without what was written to them.
at::Tensor mapped_view(void* data, std::size_t bytes, at::IntArrayRef shape, at::IntArrayRef stride,
                       at::ScalarType type, std::shared_ptr<const void> keep);

}  // namespace lp::engine
