// SPDX-License-Identifier: MIT
// What a drawing takes, from sizes alone: an estimate. The factors count tensors that are alive at
// once in the widest block; no measured peak stands behind them yet.
#include <algorithm>

#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

namespace {

/// Bytes of a call of the UNet with `rows` of h x w latents and so many tokens of text.
std::uint64_t unet_bytes(const unet_config& c, std::int64_t rows, std::int64_t h, std::int64_t w,
                         std::int64_t width) {
  std::int64_t kept = 0;    // what waits for the way up
  std::int64_t widest = 0;  // the block with most at once, in elements
  for (const auto& l : c.levels) {
    const auto positions = rows * h * w;
    kept += positions * l.channels * (l.layers + 1);
    // A residual block on the way up: both inputs, the norm's copy in fp32 and its result, the
    // convolution's output; a transformer block: the gate's eightfold width and its half.
    const auto residual =
        positions * l.channels * (2 + 2 + 1) * width + positions * l.channels * 16;
    const auto transformer =
        l.down_attention || l.up_attention ? positions * l.channels * (12 + 4) * width : 0;
    widest = std::max({widest, residual, transformer});
    h = (h + 1) / 2;
    w = (w + 1) / 2;
  }
  return static_cast<std::uint64_t>(kept * width + widest);
}

/// Bytes of decoding one picture of that many pixels, all at once.
std::uint64_t decoder_bytes(std::int64_t finest, std::int64_t next, std::int64_t pixels) {
  // At full size: the last up-sampling's input and output, the norm's copy, the convolution's
  // output and its working space.
  return static_cast<std::uint64_t>(pixels * (next * 2 + finest * 3)) * sizeof(float);
}

}  // namespace

drawing_memory stable_diffusion::memory_for(const drawing_request& r) const {
  const auto& p = *parts_;
  drawing_memory out;
  out.weights = p.bytes;
  const bool upscales = p.kind == diffusion_kind::upscaling;
  const auto h = r.height / scale(), w = r.width / scale();
  const auto pictures = std::max<std::int64_t>(
      1,
      static_cast<std::int64_t>(std::max<std::size_t>(r.prompts.size(), 1)) * r.images_per_prompt);
  const bool guided = r.guidance_scale > 1 && !p.embeds_guidance();
  const std::int64_t passes = !guided ? 1 : p.kind == diffusion_kind::editing ? 3 : 2;
  const auto rows = std::clamp<std::int64_t>(positions_a_call / std::max<std::int64_t>(1, h * w),
                                             passes, std::max(passes, pictures * passes));
  const auto width = p.unet->dtype() == at::kBFloat16 ? 2 : 4;
  const auto call = unet_bytes(p.unet->config(), rows, h, w, width);
  const auto pixels = std::min(r.width * r.height, untiled_pixels);
  std::int64_t finest = 64, next = 64;
  if (p.vae) {
    const auto& channels = p.vae->config().block_out_channels;
    finest = channels[0];
    next = channels[std::min<std::size_t>(1, channels.size() - 1)];
  }
  auto coding = decoder_bytes(finest, next, pixels);
  // Pictures and latents that are kept, several of each.
  const auto kept = static_cast<std::uint64_t>(r.width * r.height * 3 * (upscales ? 12 : 9) +
                                               pictures * h * w * p.latent_channels() * 40);
  out.peak = std::max(call, coding) + kept;
  return out;
}

}  // namespace lp::engine
