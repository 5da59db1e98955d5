// SPDX-License-Identifier: MIT
#pragma once

namespace lp::engine {

/// What lies in a GPU's memory.
enum class gpu_number { fp32, fp16, bf16 };

}  // namespace lp::engine
