// SPDX-License-Identifier: MIT
// The table of what can be run: a case's kind chooses a function, which computes by the case's
// data alone and never by its name.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "runtime/base/error.hpp"
#include "tools/golden-runner/golden_case.hpp"

namespace lp::goldens {

/// What a kind's function made of a case.
struct answer {
  tensors values;    ///< by the names of the expected tensors; further ones are ignored
  std::string todo;  ///< why this engine cannot run the case yet, or ""

  static answer not_yet(std::string why) { return {{}, std::move(why)}; }
};

/// The errors are failures of the case; exceptions are too.
using runner = result<answer> (*)(const golden_case&);

/// The function for a kind, or null.
runner find_runner(std::string_view kind);

result<answer> run_clip(const golden_case& c);
result<answer> run_image(const golden_case& c);
result<answer> run_math(const golden_case& c);
result<answer> run_pipeline(const golden_case& c);
result<answer> run_rng(const golden_case& c);
result<answer> run_safetensors(const golden_case& c);
result<answer> run_scheduler(const golden_case& c);
result<answer> run_scheduler_math(const golden_case& c);
result<answer> run_text_encoder(const golden_case& c);
result<answer> run_tokenizer(const golden_case& c);
result<answer> run_unet(const golden_case& c);
result<answer> run_vae(const golden_case& c);
result<answer> run_vision_encoder(const golden_case& c);
result<answer> run_weights(const golden_case& c);

}  // namespace lp::goldens
