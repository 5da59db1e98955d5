// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/loop.hpp"
#include "tools/lp-train/parallel.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {
namespace {

// Noise on the latent in training, whose own size the penalty on its square bounds: neighbouring
// pictures get neighbouring latents, and small errors of the UNet are not seen.
constexpr double latent_noise = 0.1;
constexpr std::int64_t early_iterations = 1200;

at::Tensor loss_of(const engine::autoencoder_kl& vae, const options& o, std::int64_t iteration,
                   int part) {
  const auto seed = part_seed(o.seed * 1'000'003, iteration, part);
  // While everything is still to be learnt, more iterations are worth more than larger batches.
  const auto batch = iteration < early_iterations ? o.vae_batch / 3 : o.vae_batch;
  const auto pictures = to_tensor(crowded_scenes(seed, batch / batch_parts)).to(o.device);
  const bf16_products guard(o.bfloat16);
  const auto mean = latent_mean(vae, pictures);
  const auto noise =
      at::randn(mean.sizes(), at::detail::createCPUGenerator(seed)).to(o.device) * latent_noise;
  return picture_loss(vae.decode(mean + noise), pictures) + 2e-3 * mean.square().mean();
}

result<void> save_normalised(const vae_networks& n, const options& o) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> latents;
  drawing::random r(o.seed + 5);
  for (int i = 0; i < 16; ++i) {
    std::vector<drawing::scene> some;
    for (int k = 0; k < 32; ++k) some.push_back(drawing::training_scene(r));
    latents.push_back(latent_mean(n.vae, to_tensor(some).to(o.device)));
  }
  normalise_latent(n.source.tensors(), at::cat(latents), latent_noise);
  return save_component(o.model / "vae", vae_config(), n.source.tensors());
}

}  // namespace

result<outcome> train_vae(const options& o) {
  vae_networks n(o.seed, o.device);
  adamw optimizer(n.source.tensors(), {});
  const stage s{
      .name = "vae",
      .iterations = o.vae_iterations,
      // The decoder goes on in a stage of its own, so the rate is that of a longer run.
      .rate = [&](std::int64_t i) { return learning_rate(i, o.vae_iterations + 400, o.vae_rate); },
      .loss = [&](std::int64_t i, int part) { return loss_of(n.vae, o, i, part); },
      .keep = [&](std::int64_t i) { return show_autoencoder(n.vae, o, "vae", i); }};
  const auto done = run_stage(s, optimizer, o);
  if (!done) return done;
  optimizer.swap_average();
  if (auto saved = save_normalised(n, o); !saved) return fail(saved.error());
  return done;
}

}  // namespace lp::train
