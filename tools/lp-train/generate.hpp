// SPDX-License-Identifier: MIT
// Pictures from prompts while training, in batches, and how many of them are right.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/clip_tokenizer.hpp"
#include "pipelines/engine/unet.hpp"
#include "tools/lp-train/drawing.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {

/// Token numbers, int64 [N, max_length].
at::Tensor token_ids(const engine::clip_tokenizer& tokenizer,
                     const std::vector<std::string>& prompts);

struct networks {
  const engine::clip_tokenizer* tokenizer;
  const engine::clip_text* text;
  const engine::unet* unet;
  const engine::autoencoder_kl* vae;
};

struct sampling {
  int steps = 20;
  double guidance = 5;
  double strength = 1;  ///< of image to image: the share of the steps that is done
  std::uint64_t seed = 1;
  at::Device device = at::kCPU;
};

/// fp32 [N, C, h, w]. From noise; or, given latents of pictures `from`, image to image. Without
/// gradients.
at::Tensor generate_latents(const networks& n, const std::vector<std::string>& prompts,
                            const sampling& s, const at::Tensor& from = {});

/// The same as pictures: [N, 3, H, W] in [-1, 1] on the CPU.
at::Tensor generate(const networks& n, const std::vector<std::string>& prompts, const sampling& s,
                    const at::Tensor& from = {});

/// The finished folder.
struct loaded_model {
  engine::clip_tokenizer tokenizer;
  std::unique_ptr<engine::clip_text> text;
  std::unique_ptr<engine::unet> unet;
  std::unique_ptr<engine::autoencoder_kl> vae;

  networks view() const { return {&tokenizer, text.get(), unet.get(), vae.get()}; }
};
result<loaded_model> load_model(const options& o);

std::vector<std::string> prompts_of(const std::vector<drawing::task>& tasks);

struct score {
  int count = 0;
  int background = 0;
  int colour = 0;
  int shape = 0;
  int place = 0;
  int right_in_place = 0;  ///< of single objects: everything
  bool pairs = false;
  int right = 0;  ///< background, colour and shape; of pairs: everything
};

/// Judges pictures of tasks with one object, or of tasks with two (only `right` counts there).
score score_of(const std::vector<drawing::task>& tasks, const at::Tensor& pictures);

/// "right 190/200 (background 200, colour 195, shape 191, place 188)"; of pairs "right 90/200".
std::string to_string(const score& s);

}  // namespace lp::train
