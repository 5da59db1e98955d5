// SPDX-License-Identifier: MIT
// What a call of the network takes: pictures of several drawings, every guidance pass of one after
// the other.
#pragma once

#include <cstdint>
#include <vector>

#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

/// A picture of a drawing, and what the scheduler shows the network of all its pictures.
struct picture_at {
  drawing::state* of;
  const at::Tensor* shown;
  std::int64_t number;
};

/// The network's input for the next step of each. What does not change from step to step is kept
/// with the first of them, for as long as the same ones come together.
unet_input gather(const std::vector<picture_at>& pictures);

}  // namespace lp::engine
