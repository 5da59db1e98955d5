// SPDX-License-Identifier: MIT
// Pictures from text and pictures with folders of the Stable Diffusion family in the Diffusers
// layout: SD 1.x and 2.x, SDXL, Turbo, Lightning, latent consistency models, inpainting, editing
// (InstructPix2Pix) and the x4 upscaler. What a network does is told by its channels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "pipelines/engine/png.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

class lora_file;

/// How weights are held and networks compute. Latents, sampling and norms are fp32 in any case.
enum class weight_precision {
  automatic,  ///< for UNets of 250 million weights and more bf16 where it is fast (CPUs with
              ///< AVX512-BF16, GPUs from compute capability 8 on), on older GPUs fp16; else fp32
  fp32,
  bf16,
  fp16,  ///< of UNets and large text encoders, on GPUs
};

struct stable_diffusion_options {
  weight_precision precision = weight_precision::automatic;
  at::Device device = at::kCPU;
  /// Text encoders and autoencoders are in memory only while they are used.
  bool low_memory = false;
  /// A scheduler_config.json to use in place of the folder's; empty: the folder's.
  std::filesystem::path scheduler_config;
};

/// What a UNet was made for.
enum class diffusion_kind {
  drawing,     ///< takes latents alone: text to image, image to image, masks by blending
  inpainting,  ///< takes a mask and the masked picture too (9 channels)
  editing,     ///< takes the picture to edit too (8 channels, InstructPix2Pix)
  upscaling,   ///< takes the small picture too (x4 upscaler)
};

/// The sizes that SDXL is told, in pixels as (height, width) pairs.
struct size_condition {
  std::pair<std::int64_t, std::int64_t> original, crop, target;
};

/// What to draw. Pictures are ordered by prompt, and for each prompt by number.
///
/// A prompt may weigh words, "(red:1.4) circle": the embeddings of those tokens are multiplied and
/// all brought back to the mean they had. Prompts longer than the text encoder takes are encoded in
/// pieces that are laid end to end.
struct drawing_request {
  std::vector<std::string> prompts;
  /// None, one for all prompts, or one a prompt. Without effect where guidance is off. SDXL models
  /// may have been trained to take none as zeros.
  std::vector<std::string> negative_prompts;
  /// For the second text encoder of SDXL; empty: as for the first.
  std::vector<std::string> prompts_2, negative_prompts_2;
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
  int clip_skip = 0;                             ///< layers of the text encoder left out at its end
  double eta = 0;                                ///< see scheduler::set_eta(); TCD's, too
  std::string scheduler;                         ///< see choose_scheduler(); empty: the model's
  std::optional<size_condition> sizes;           ///< SDXL; default: the picture's own
  std::optional<size_condition> negative_sizes;  ///< SDXL; default: as `sizes`

  /// The picture to begin with, fp32 [1, 3, height, width] in [0, 1], of the drawing's size; for
  /// upscaling of the size before. Undefined: none.
  at::Tensor image;
  /// What to repaint, fp32 [1, 1, height, width]: from 0.5 on new, below kept.
  at::Tensor mask;
  double strength = 0.8;              ///< how much of an image is given up, 0 to 1
  double image_guidance_scale = 1.5;  ///< editing: how closely to keep to the picture
  int noise_level = 20;               ///< upscaling: noise added to the small picture
  /// As little memory as can be: one picture a call, and pictures above 512x512 coded in tiles,
  /// which shows a little.
  bool lean = false;
  /// For memory_for() alone: there will be an image, though it is not given.
  bool encodes = false;
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
  /// Denoising calls; may be more than the requested steps (PNDM) or fewer (with an image).
  int total() const;
  /// One denoising step of all pictures.
  result<void> step();

  /// One step of each, in calls of the network that they share. All must have one batch_key() and
  /// steps left. On the CPU the latents are bit for bit those of step().
  static std::vector<result<void>> step_together(std::span<drawing* const> drawings);
  /// Equal for drawings whose next steps fit into one call: of one network and one shape.
  std::uint64_t batch_key() const;

  std::int64_t count() const;
  /// Decodes picture `i`: [1, 3, height, width] in [0, 1], fp32.
  result<at::Tensor> picture(std::int64_t i) const;
  /// The same as 8-bit RGB. On a GPU only the bytes cross to the host.
  result<rgb_image> pixels(std::int64_t i) const;
  /// Picture `i` as the last step foresaw its end, decoded by the model's tiny autoencoder (a
  /// folder "vae_tiny" beside the others); ec::bad_request without one.
  result<at::Tensor> preview(std::int64_t i) const;

  /// What of the request has no effect, for a person.
  const std::vector<std::string>& notes() const;

  /// fp32 [count, channels, height / scale, width / scale], on the pipeline's device.
  const at::Tensor& latents() const;
  /// fp32 [prompts, tokens, size].
  const at::Tensor& prompt_embeds() const;
  /// As prompt_embeds(); undefined where guidance is off.
  const at::Tensor& negative_prompt_embeds() const;
  /// SDXL: [prompts, size]; undefined otherwise.
  const at::Tensor& pooled_prompt_embeds() const;
  const at::Tensor& negative_pooled_prompt_embeds() const;

 private:
  friend class stable_diffusion;
  explicit drawing(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

/// What a drawing takes, foreseen from sizes alone.
struct drawing_memory {
  std::uint64_t weights = 0;  ///< bytes that the networks hold
  std::uint64_t peak = 0;     ///< bytes on top of them at the highest point
};

/// A loaded pipeline. Immutable, so that drawings of several threads may share it.
class stable_diffusion {
 public:
  struct parts;  ///< of the implementation
  ~stable_diffusion();
  stable_diffusion(const stable_diffusion&) = delete;
  stable_diffusion& operator=(const stable_diffusion&) = delete;

  /// A Diffusers folder, or a checkpoint file in the original naming (single_file.hpp).
  /// ec::bad_file names the file and what is wrong with it or not supported (other pipelines,
  /// schedulers that are not known, ...).
  static result<std::shared_ptr<const stable_diffusion>> load(
      const std::filesystem::path& folder, const stable_diffusion_options& options = {});

  /// What a person should know of how it was loaded: what was assumed of a checkpoint in one file,
  /// and which tensors were left out.
  const std::vector<std::string>& notes() const;

  /// The same pipeline with low-rank additions; it shares all weights. `unmatched` receives the
  /// names in the files that fit nothing here. ec::bad_file where a shape does not fit.
  result<std::shared_ptr<const stable_diffusion>> with_loras(
      const std::vector<std::pair<std::shared_ptr<const lora_file>, double>>& loras,
      std::vector<std::string>& unmatched) const;

  /// Encodes the prompts and draws the initial latents. ec::invalid_parameters names the field.
  /// The drawing keeps the pipeline alive.
  static result<std::unique_ptr<drawing>> start(std::shared_ptr<const stable_diffusion> pipeline,
                                                const drawing_request& request);

  /// Foresees the memory of a drawing; of the request only sizes and counts are read. `more`: files
  /// that with_loras() would have to add first; their numbers are then part of the peak.
  drawing_memory memory_for(const drawing_request& request,
                            const std::vector<std::shared_ptr<const lora_file>>& more = {}) const;

  /// load() returns as soon as prompts can be encoded; the first step waits by itself until the
  /// UNet can compute.
  void wait_until_packed() const;

  std::uint64_t bytes() const;         ///< memory of the weights
  std::int64_t scale() const;          ///< pixels a latent covers along one side
  std::int64_t usual_size() const;     ///< side in pixels that the UNet was trained at
  weight_precision precision() const;  ///< as chosen, never automatic
  diffusion_kind kind() const;
  bool has_second_prompt() const;  ///< two text encoders

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
