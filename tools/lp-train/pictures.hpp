// SPDX-License-Identifier: MIT
// Drawings as tensors, tensors as picture files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include <ATen/core/Tensor.h>

#include "runtime/base/error.hpp"
#include "tools/lp-train/drawing.hpp"

namespace lp::train {

/// The scenes drawn, fp32 [N, 3, side, side] in [-1, 1] on the CPU.
at::Tensor to_tensor(const std::vector<drawing::scene>& scenes, int side = 64);

/// RGB8 pixels of one picture [3, H, W] in [-1, 1], row by row.
std::vector<std::uint8_t> to_rgb8(const at::Tensor& picture);

/// Pictures [N, 3, H, W] in [-1, 1] in rows of `columns`, as one PNG.
result<void> save_sheet(const std::filesystem::path& file, const at::Tensor& pictures, int columns);

}  // namespace lp::train
