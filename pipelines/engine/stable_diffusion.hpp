// SPDX-License-Identifier: MIT
// Text to picture with Stable Diffusion 1.x and 2.x folders in the Diffusers layout, and with
// latent consistency models distilled from them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// How weights are held and networks compute. Latents, sampling and norms are fp32 in any case.
enum class weight_precision {
  automatic,  ///< bf16 for UNets of 250 million weights and more on CPUs with AVX512-BF16, else
              ///< fp32
  fp32,
  bf16,
};

struct stable_diffusion_options {
  weight_precision precision = weight_precision::automatic;
  at::Device device = at::kCPU;
  /// A scheduler_config.json to use in place of the folder's; empty: the folder's.
  std::filesystem::path scheduler_config;
};

/// What to draw. Pictures are ordered by prompt, and for each prompt by number.
struct drawing_request {
  std::vector<std::string> prompts;
  /// None, one for all prompts, or one a prompt. Without effect where guidance is off.
  std::vector<std::string> negative_prompts;
  std::int64_t images_per_prompt = 1;
  /// One a picture; the picture depends on nothing else in the batch.
  std::vector<std::uint64_t> seeds;
  std::int64_t width = 512;   ///< pixels, a multiple of stable_diffusion::scale()
  std::int64_t height = 512;  ///< pixels, likewise
  int steps = 50;
  double guidance_scale = 7.5;  ///< 1 and below: no guidance (and half the work)
  /// Share of the guided prediction that gets the deviation of the unguided one back, section 3.4
  /// of arXiv 2305.08891; 0: none.
  double guidance_rescale = 0;
  int clip_skip = 0;  ///< layers of the text encoder left out at its end
  double eta = 0;     ///< see scheduler::set_eta()
};

class stable_diffusion;

/// One drawing under way. Call step() until done() == total(), then picture() for each.
class drawing {
 public:
  struct state;  ///< of the implementation
  ~drawing();
  drawing(const drawing&) = delete;
  drawing& operator=(const drawing&) = delete;

  int done() const;
  /// Denoising calls; may be more than the requested steps (PNDM).
  int total() const;
  /// One denoising step of all pictures.
  result<void> step();

  std::int64_t count() const;
  /// Decodes picture `i`: [1, 3, height, width] in [0, 1], fp32.
  result<at::Tensor> picture(std::int64_t i) const;

  /// fp32 [count, channels, height / scale, width / scale].
  const at::Tensor& latents() const;
  /// fp32 [prompts, tokens, size].
  const at::Tensor& prompt_embeds() const;
  /// As prompt_embeds(); undefined where guidance is off.
  const at::Tensor& negative_prompt_embeds() const;

 private:
  friend class stable_diffusion;
  explicit drawing(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

/// A loaded pipeline. Immutable, so that drawings of several threads may share it.
class stable_diffusion {
 public:
  struct parts;  ///< of the implementation
  ~stable_diffusion();
  stable_diffusion(const stable_diffusion&) = delete;
  stable_diffusion& operator=(const stable_diffusion&) = delete;

  /// ec::bad_file names the file and what is wrong with it or not supported (other pipelines,
  /// inpainting UNets, schedulers that are not known, ...).
  static result<std::shared_ptr<const stable_diffusion>> load(
      const std::filesystem::path& folder, const stable_diffusion_options& options = {});

  /// Encodes the prompts and draws the initial latents. ec::invalid_parameters names the field.
  /// The drawing keeps the pipeline alive.
  static result<std::unique_ptr<drawing>> start(std::shared_ptr<const stable_diffusion> pipeline,
                                                const drawing_request& request);

  std::uint64_t bytes() const;         ///< memory of the weights
  std::int64_t scale() const;          ///< pixels a latent covers along one side
  std::int64_t usual_size() const;     ///< side in pixels that the UNet was trained at
  weight_precision precision() const;  ///< fp32 or bf16

 private:
  friend class drawing;
  explicit stable_diffusion(std::unique_ptr<parts> p);
  std::unique_ptr<const parts> parts_;
};

/// `guided`, partly brought back to the deviation of `conditional` picture by picture: with `share`
/// 0 it stays, with 1 it gets that deviation. Section 3.4 of arXiv 2305.08891.
at::Tensor rescale_guidance(const at::Tensor& guided, const at::Tensor& conditional, double share);

/// How latent consistency models take the guidance: sines and cosines of a thousand times
/// `guidance` [N] (the scale less 1) -> fp32 [N, size]. Section 4.2 of arXiv 2310.04378.
at::Tensor guidance_embedding(const at::Tensor& guidance, std::int64_t size);

}  // namespace lp::engine
