// SPDX-License-Identifier: MIT
// What an entry of a file of additions adds to its layer's weight W, as PEFT and LyCORIS compute
// it; s is strength * alpha / rank (times "scalar", where a file has one):
//   low rank    s * up down; in Tucker form s * up (mid down)
//   LoHa        s * (w1_a w1_b) * (w2_a w2_b), entry by entry
//   LoKr        s * kron(w1, w2), each of them whole or a product
//   difference  strength * diff
//   DoRA        m (W + dW) / |W + dW| - W, the norm taken an output (or, in old files, an input)
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>
#include <tl/expected.hpp>

#include "pipelines/engine/lora.hpp"

namespace lp::engine {

/// The rank that alpha is divided by; 0 where it is none, as of whole differences.
std::int64_t rank_of(const lora_entry& e);

/// Whether it holds all that an addition takes.
bool is_complete(const lora_entry& e);

/// Whether the addition can be computed beside the layer, down and then up, with the weight left
/// alone: cheaper in memory than a changed weight.
bool stays_low_rank(const lora_entry& e);

/// Of such an entry, `down` with what lies in the middle: [rank, in] or [rank, in, k, k]. Throws
/// c10::Error where shapes do not fit each other.
at::Tensor whole_down(const lora_entry& e);

/// Numbers of the weight that all other entries change.
std::int64_t changed_numbers(const lora_entry& e);

/// fp32, in the weight's shape; undefined where the entry leaves the weight alone. `weight` in its
/// plain order. Throws c10::Error where shapes do not fit.
at::Tensor change_of_weight(const lora_entry& e, const at::Tensor& weight, double strength);

/// fp32; undefined where the entry leaves the bias alone.
at::Tensor change_of_bias(const lora_entry& e, double strength);

/// The shapes of its tensors, for messages.
std::string shapes_of(const lora_entry& e);

}  // namespace lp::engine
