// SPDX-License-Identifier: MIT
// Drawings whose numbers are not finite end with an error that says where that came from, rather
// than with a black picture. On the CPU that is looked at after every step, which costs a sum of
// the latents; on a GPU, which no step waits for, when the picture is decoded.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/finite.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// After the prompts were encoded and the initial latents drawn. ec::pipeline_failed, as all here.
result<void> check_start(const stable_diffusion::parts& p, const drawing::state& s);

/// After a step.
result<void> check_step(const stable_diffusion::parts& p, const drawing::state& s);

/// Picture `i`: [1, 3, H, W] in about [-1, 1], on the device.
result<at::Tensor> decode_checked(const stable_diffusion::parts& p, const drawing::state& s,
                                  std::int64_t i);

}  // namespace lp::engine
