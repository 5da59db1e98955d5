// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/optimizer.hpp"
#include "tools/lp-train/parallel.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"
#include "tools/lp-train/progress.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {
namespace {

// Noise on the latent in training, whose own size the penalty on its square bounds: neighbouring
// pictures get neighbouring latents, and small errors of the UNet are not seen.
constexpr double latent_noise = 0.1;
constexpr std::int64_t early_iterations = 1200;

result<void> finish(vae_networks& n, const options& o) {
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

at::Tensor vae_loss(const engine::autoencoder_kl& vae, const options& o, std::int64_t iteration,
                    int part) {
  const auto seed = part_seed(o.seed * 1'000'003, iteration, part);
  // While everything is still to be learnt, more iterations are worth more than larger batches.
  const auto batch = iteration < early_iterations ? o.vae_batch / 3 : o.vae_batch;
  const auto pictures = to_tensor(busy_scenes(seed, batch / batch_parts)).to(o.device);
  const bf16_products guard(o.bfloat16);
  const auto mean = latent_mean(vae, pictures);
  const auto noise =
      at::randn(mean.sizes(), at::detail::createCPUGenerator(seed)).to(o.device) * latent_noise;
  return picture_loss(vae.decode(mean + noise), pictures) + 2e-3 * mean.square().mean();
}

result<void> train_vae(const options& o) {
  vae_networks n(o.seed, o.device);
  adamw optimizer(n.source.tensors(), {});
  const auto file = o.work / "vae.safetensors";
  if (std::filesystem::exists(file)) {
    if (const auto state = optimizer.load(file); !state) return fail(state.error());
  }
  const stop_watch time(o.minutes);
  auto i = optimizer.steps();
  progress_bar bar("vae", i, o.vae_iterations);
  while (i < o.vae_iterations) {
    const auto loss =
        backward_in_parts(o.threads > 1, [&](int part) { return vae_loss(n.vae, o, i, part); });
    // The decoder goes on in a stage of its own, so the rate is that of a longer run.
    const double rate = learning_rate(i, o.vae_iterations + 400, o.vae_rate);
    optimizer.step(rate);
    bar.update(++i, loss, rate);
    if (i % o.every != 0 && i != o.vae_iterations && !time.over()) continue;
    if (auto saved = optimizer.save(file, {}); !saved) return saved;
    optimizer.swap_average();
    auto shown = show_autoencoder(n.vae, o, "vae", i);
    optimizer.swap_average();
    if (!shown) return shown;
    if (time.over()) break;
  }
  bar.finish();
  optimizer.swap_average();
  return finish(n, o);
}

}  // namespace lp::train
