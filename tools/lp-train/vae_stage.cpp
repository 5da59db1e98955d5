// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "tools/lp-train/optimizer.hpp"
#include "tools/lp-train/parallel.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"
#include "tools/lp-train/progress.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {
namespace {

// Noise on the latent in training, in units of a latent that the penalty on its square keeps near
// 1: neighbouring pictures get neighbouring latents, and small errors of the UNet are not seen.
constexpr double latent_noise = 0.1;

std::uint64_t seed_of(const options& o, std::int64_t iteration, int part) {
  return o.seed * 1'000'003 + static_cast<std::uint64_t>(iteration * batch_parts + part);
}

std::vector<drawing::scene> scenes(std::uint64_t seed, std::int64_t count) {
  drawing::random r(seed);
  std::vector<drawing::scene> out;
  for (std::int64_t i = 0; i < count; ++i) {
    // Crowded pictures hold more edges for the same work.
    out.push_back(i % 2 == 0 ? drawing::crowded_scene(r) : drawing::training_scene(r));
  }
  return out;
}

at::Tensor mean_of(const engine::autoencoder_kl& vae, const at::Tensor& pictures) {
  return vae.encode(pictures).narrow(1, 0, vae.config().latent_channels);
}

/// What pictures look like after a way through the latent: originals above, results below.
result<void> show(const engine::autoencoder_kl& vae, const options& o, std::int64_t iteration) {
  const at::NoGradGuard no_grad;
  const auto original = to_tensor(scenes(77, 10));
  const auto back = vae.decode(mean_of(vae, original.to(o.device))).cpu().clamp(-1, 1);
  const double error = (back - original).square().mean().item<double>() / 4;
  fmt::print("vae {}: reconstruction {:.1f} dB\n", iteration, -10 * std::log10(error));
  std::fflush(stdout);
  return save_sheet(o.work / fmt::format("vae-{:06}.png", iteration), at::cat({original, back}),
                    10);
}

result<void> finish(vae_networks& n, const options& o) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> latents;
  drawing::random r(o.seed + 5);
  for (int i = 0; i < 16; ++i) {
    std::vector<drawing::scene> some;
    for (int k = 0; k < 32; ++k) some.push_back(drawing::training_scene(r));
    latents.push_back(mean_of(n.vae, to_tensor(some).to(o.device)));
  }
  normalise_latent(n.source.tensors(), at::cat(latents), latent_noise);
  return save_component(o.model / "vae", vae_config(), n.source.tensors());
}

}  // namespace

at::Tensor vae_loss(const engine::autoencoder_kl& vae, const options& o, std::int64_t iteration,
                    int part) {
  const auto seed = seed_of(o, iteration, part);
  const auto pictures = to_tensor(scenes(seed, o.vae_batch / batch_parts)).to(o.device);
  const bf16_products guard(o.bfloat16);
  const auto mean = mean_of(vae, pictures);
  const auto noise =
      at::randn(mean.sizes(), at::detail::createCPUGenerator(seed)).to(o.device) * latent_noise;
  const auto error = vae.decode(mean + noise) - pictures;
  return error.abs().mean() + 2 * error.square().mean() + 2e-3 * mean.square().mean();
}

result<void> train_vae(const options& o) {
  vae_networks n(o.seed, o.device);
  adamw optimizer(n.source.tensors(), {});
  const auto file = o.work / "vae.safetensors";
  if (std::filesystem::exists(file)) {
    if (const auto state = optimizer.load(file); !state) return fail(state.error());
  }
  const auto stop = clock::now() + std::chrono::duration_cast<duration>(
                                       std::chrono::duration<double>(o.minutes * 60));
  auto i = optimizer.steps();
  progress_bar bar("vae", i, o.vae_iterations);
  while (i < o.vae_iterations) {
    const auto loss =
        backward_in_parts(o.threads > 1, [&](int part) { return vae_loss(n.vae, o, i, part); });
    const double rate = learning_rate(i, o.vae_iterations, o.vae_rate);
    optimizer.step(rate);
    bar.update(++i, loss, rate);
    const bool out_of_time = o.minutes > 0 && clock::now() > stop;
    if (i % o.every != 0 && i != o.vae_iterations && !out_of_time) continue;
    if (auto saved = optimizer.save(file, {}); !saved) return saved;
    optimizer.swap_average();
    auto shown = show(n.vae, o, i);
    optimizer.swap_average();
    if (!shown) return shown;
    if (out_of_time) break;
  }
  bar.finish();
  optimizer.swap_average();
  return finish(n, o);
}

}  // namespace lp::train
