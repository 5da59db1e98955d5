// SPDX-License-Identifier: MIT
#include "tools/lp-train/autoencoding.hpp"

#include <fmt/format.h>

#include "tools/lp-train/generate.hpp"
#include "tools/lp-train/pictures.hpp"

namespace lp::train {

std::vector<drawing::scene> crowded_scenes(std::uint64_t seed, std::int64_t count) {
  drawing::random r(seed);
  std::vector<drawing::scene> out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(drawing::crowded_scene(r));
  return out;
}

at::Tensor latent_mean(const engine::autoencoder_kl& vae, const at::Tensor& pictures) {
  return vae.encode(pictures).narrow(1, 0, vae.config().latent_channels);
}

at::Tensor picture_loss(const at::Tensor& seen, const at::Tensor& wanted) {
  const auto error = seen - wanted;
  return error.abs().mean() + 2 * error.square().mean();
}

result<void> show_autoencoder(const engine::autoencoder_kl& vae, const options& o,
                              const std::string& stage, std::int64_t iteration) {
  const at::NoGradGuard no_grad;
  const auto through = [&](const at::Tensor& pictures) {
    return vae.decode(latent_mean(vae, pictures.to(o.device))).cpu().clamp(-1, 1);
  };
  const auto original = to_tensor(crowded_scenes(77, 10));
  const auto back = through(original);
  const auto tasks = drawing::held_out_tasks(100, 31);
  std::vector<drawing::scene> wanted;
  for (const auto& t : tasks) wanted.push_back(t.wanted);
  const double error = (back - original).square().mean().item<double>() / 4;
  fmt::print("{} {}: reconstruction {:.1f} dB, {}\n", stage, iteration, -10 * std::log10(error),
             to_string(score_of(tasks, through(to_tensor(wanted)))));
  std::fflush(stdout);
  return save_sheet(o.work / fmt::format("{}-{:06}.png", stage, iteration),
                    at::cat({original, back}), 10);
}

}  // namespace lp::train
