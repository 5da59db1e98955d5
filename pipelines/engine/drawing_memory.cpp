// SPDX-License-Identifier: MIT
// What a drawing takes, from sizes alone: the networks are walked block by block, counting the
// tensors that are alive at once in each. A convolution holds its input and its result twice, once
// in oneDNN's order. `lp-bench diffusion` and tests/pictures compare with measured peaks.
#include <algorithm>
#include <vector>

#include "pipelines/engine/autoencoder_stripes.hpp"
#include "pipelines/engine/lora.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

namespace {

using byte_count = std::int64_t;

/// What a call takes beside its sizes.
struct calling {
  byte_count width = sizeof(float);  ///< of a number
  bool in_stripes = false;           ///< large planes, see autoencoder_stripes.hpp
  std::int64_t adapter_rank = 0;     ///< of low-rank additions to convolutions
};

/// The activations of one call, `rows` pictures at once.
class walk {
 public:
  walk(std::int64_t rows, std::int64_t h, std::int64_t w, const calling& how)
      : rows_(rows), h_(h), w_(w), width_(how.width), how_(how) {}

  byte_count highest() const { return highest_; }
  byte_count held() const { return held_; }

  /// So many channels at the present size.
  byte_count plane(std::int64_t channels) const { return rows_ * h_ * w_ * channels * width_; }
  void hold(byte_count more) { held_ += more; }
  void halve() { h_ = (h_ + 1) / 2, w_ = (w_ + 1) / 2; }
  void twice() { h_ *= 2, w_ *= 2; }
  void reach(byte_count more) { highest_ = std::max(highest_, held_ + more); }

  void residual(std::int64_t in, std::int64_t out) {
    if (cut(in, out)) return reach(plane(in) + plane(out) + stripes(in, out));
    reach(plane(in) + std::max(norm(in), convolution(in, out)));
    reach(plane(in) + plane(out) + std::max(norm(out), convolution(out, out)));
    if (in != out) reach(plane(out) + convolution(in, out));
  }

  /// What goes in (the block's and the residual's), the gate's eight planes, half of them opened,
  /// the same brought together, and the result.
  void transformer(std::int64_t channels) { reach(plane(channels) * (2 + 8 + 4 + 4 + 1)); }

  void up_sampling(std::int64_t channels) {
    const auto before = plane(channels);
    twice();
    reach(before + (cut(channels, channels) ? plane(channels) + stripes(channels, channels)
                                            : convolution(channels, channels)));
  }
  void down_sampling(std::int64_t channels) {
    const auto before = plane(channels);
    const bool pieces = cut(channels, channels);
    halve();
    reach(before + (pieces ? plane(channels) + stripes(4 * channels, channels)
                           : 2 * before + 2 * plane(channels)));
  }
  void convolve(std::int64_t in, std::int64_t out) {
    reach(cut(in, out) ? plane(in) + plane(out) + stripes(in, out) : convolution(in, out));
  }

 private:
  /// On top of the input: the result in fp32, and where that is not the width, both copies.
  byte_count norm(std::int64_t c) const {
    const auto wide = plane(c) / width_ * 4;
    return width_ == 4 ? wide : 2 * wide + plane(c);
  }
  /// An addition makes its own result, a picture at a time.
  byte_count convolution(std::int64_t in, std::int64_t out) const {
    const auto added = how_.adapter_rank == 0 ? 0 : plane(2 * how_.adapter_rank + out) / rows_;
    return 2 * plane(in) + 2 * plane(out) + added;
  }
  bool cut(std::int64_t in, std::int64_t out) const {
    return how_.in_stripes && stripes::rows_at_once(std::max(in, out), w_) < h_;
  }
  /// The input's rows, their norm, the same with the row above, both in oneDNN's order, the result
  /// and the skipped input.
  byte_count stripes(std::int64_t in, std::int64_t out) const {
    const auto most = std::max(in, out);
    return 8 * stripes::rows_at_once(most, w_) * w_ * most * width_;
  }

  std::int64_t rows_, h_, w_;
  byte_count width_;
  calling how_;
  byte_count held_ = 0;
  byte_count highest_ = 0;
};

byte_count unet_call(const unet_config& c, std::int64_t rows, std::int64_t h, std::int64_t w,
                     const calling& how) {
  walk at(rows, h, w, how);
  std::vector<std::pair<std::int64_t, byte_count>> skips;
  const auto keep = [&](std::int64_t channels) {
    skips.emplace_back(channels, at.plane(channels));
    at.hold(skips.back().second);
  };
  auto in = c.levels.front().channels;
  at.convolve(c.in_channels, in);
  keep(in);
  for (const auto& l : c.levels) {
    for (std::int64_t j = 0; j < l.layers; ++j) {
      at.residual(in, l.channels);
      if (l.down_attention) at.transformer(l.channels);
      keep(in = l.channels);
    }
    if (&l == &c.levels.back()) break;
    at.convolve(in, in);
    at.halve();
    keep(in);
  }
  if (c.mid_block) {
    at.residual(in, in);
    at.transformer(in);
  }
  // The way up takes the skips' own sizes, which sides that do not halve evenly need.
  for (auto l = c.levels.rbegin(); l != c.levels.rend(); ++l) {
    for (std::int64_t j = 0; j <= l->layers; ++j) {
      const auto [channels, size] = skips.back();
      skips.pop_back();
      at.reach(at.plane(in) * 2 + size);  // both inputs and the two as one
      at.hold(-size);
      at.residual(in + channels, l->channels);
      if (l->up_attention) at.transformer(l->channels);
      in = l->channels;
    }
    if (std::next(l) != c.levels.rend()) at.up_sampling(in);
  }
  at.residual(in, in);  // the last norm and convolution are less
  return at.highest();
}

byte_count decoding(const autoencoder_kl_config& c, std::int64_t h, std::int64_t w,
                    const calling& how) {
  walk at(1, h, w, how);
  auto in = c.block_out_channels.back();
  at.residual(in, in);
  for (auto out = c.block_out_channels.rbegin(); out != c.block_out_channels.rend(); ++out) {
    at.residual(in, *out);
    at.residual(in = *out, *out);
    if (std::next(out) != c.block_out_channels.rend()) at.up_sampling(in);
  }
  return at.highest();
}

byte_count encoding(const autoencoder_kl_config& c, std::int64_t height, std::int64_t width,
                    const calling& how) {
  walk at(1, height, width, how);
  auto in = c.block_out_channels.front();
  at.convolve(c.in_channels, in);
  for (const auto out : c.block_out_channels) {
    at.residual(in, out);
    at.residual(in = out, out);
    if (&out != &c.block_out_channels.back()) at.down_sampling(out);
  }
  return at.highest();
}

/// Sides of what is coded at once.
std::pair<std::int64_t, std::int64_t> tile_of(std::int64_t h, std::int64_t w, bool tiled) {
  const auto most = tiling{}.latent_size;
  return tiled ? std::pair{std::min(h, most), std::min(w, most)} : std::pair{h, w};
}

byte_count coding(const stable_diffusion::parts& p, const drawing_request& r, std::int64_t scale) {
  const bool tiled = r.lean || r.width * r.height > untiled_pixels;
  if (!p.vae) return r.width * r.height * 64 * 5 * static_cast<byte_count>(sizeof(float));
  const auto& c = p.vae.config();
  const auto [h, w] = tile_of(r.height / scale, r.width / scale, tiled);
  calling how;
  how.in_stripes = p.device.is_cpu();
  const auto decodes = decoding(c, h, w, how);
  return r.encodes || r.image.defined() ? std::max(decodes, encoding(c, h * scale, w * scale, how))
                                        : decodes;
}

}  // namespace

drawing_memory stable_diffusion::memory_for(
    const drawing_request& r, const std::vector<std::shared_ptr<const lora_file>>& more) const {
  const auto& p = *parts_;
  const bool upscales = p.kind == diffusion_kind::upscaling;
  const auto h = r.height / scale(), w = r.width / scale();
  const auto pictures = static_cast<std::int64_t>(std::max<std::size_t>(r.prompts.size(), 1)) *
                        std::max<std::int64_t>(1, r.images_per_prompt);
  const bool guided = r.guidance_scale > 1 && !p.embeds_guidance();
  const std::int64_t passes = !guided ? 1 : p.kind == diffusion_kind::editing ? 3 : 2;
  const auto at_once = r.lean ? 1 : p.rows_a_call(h * w);
  const auto rows = std::clamp<std::int64_t>(at_once, passes, pictures * passes);
  calling how;
  how.width = p.precision == weight_precision::fp32 ? 4 : 2;
  how.adapter_rank = p.adapters.rank;
  byte_count added = 0;
  for (const auto& file : more) {
    const auto of_file = p.adapters_of(*file);
    added += static_cast<byte_count>(of_file.bytes);
    how.adapter_rank = std::max(how.adapter_rank, of_file.rank);
  }
  const auto call = unet_call(p.unet->config(), rows, h, w, how);
  // Latents of each picture several times over (the samplers remember up to four), the decoded
  // picture in fp32 as it is, resized and clamped, and the files.
  const auto latents = pictures * h * w * p.latent_channels() * 4 * 12;
  const auto pixels = r.width * r.height * 3;
  const auto kept = latents + pixels * (upscales ? 16 : 12) + pictures * pixels;
  // Prompts: two text encoders of the largest kind stay below it.
  const byte_count texts = byte_count{4} << 20;
  // Recorded calls keep their working memory.
  const auto coded = coding(p, r, scale());
  const auto working = p.calls && !r.lean ? call + std::max(call, coded) : std::max(call, coded);
  return {p.bytes + p.largest_absent, static_cast<std::uint64_t>(added + working + kept + texts)};
}

}  // namespace lp::engine
