// SPDX-License-Identifier: MIT
// Stage decoder: it can run before, after or beside stage diffusion.
#include <ATen/ATen.h>

#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/decoder.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"

namespace lp::train {
namespace {

at::Tensor loss_of(const engine::autoencoder_kl& vae, const options& o, std::int64_t iteration,
                   int part) {
  const auto seed = part_seed(o.seed * 3'000'017, iteration, part);
  const auto pictures = to_tensor(crowded_scenes(seed, o.vae_batch / batch_parts)).to(o.device);
  const bf16_products guard(o.bfloat16);
  return picture_loss(vae.decode(sample_latents(vae, pictures, seed)), pictures);
}

}  // namespace

result<outcome> train_decoder(const options& o) {
  const auto d = open_decoder(o);
  if (!d) return fail(d.error());
  const auto loss = [&](std::int64_t i, int part) { return loss_of(*d->vae, o, i, part); };
  return run_decoder_stage(*d, "decoder", o.decoder_iterations, o.vae_rate, loss, o);
}

}  // namespace lp::train
