// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/safetensors.hpp"
#include "tests/support/torch_archive.hpp"

namespace lp::engine {

/// Tensors of floats as torch.save() would keep them.
inline std::vector<test::saved_tensor> saved(
    const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::vector<test::saved_tensor> out;
  for (const auto& [name, tensor] : tensors) {
    const auto t = tensor.detach().to(at::kFloat).contiguous();
    out.push_back({name, "FloatStorage", t.sizes().vec(),
                   std::string(static_cast<const char*>(t.data_ptr()), t.nbytes())});
  }
  return out;
}

}  // namespace lp::engine
