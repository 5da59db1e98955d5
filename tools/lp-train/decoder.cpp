// SPDX-License-Identifier: MIT
#include "tools/lp-train/decoder.hpp"

#include <ATen/ATen.h>

#include "pipelines/engine/checkpoint.hpp"
#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/loop.hpp"

namespace lp::train {
namespace {

bool of_decoder(std::string_view name) {
  return name.starts_with("decoder.") || name.starts_with("post_quant_conv.");
}

/// Hands out copies of a checkpoint's tensors, of which the decoder's record gradients.
class decoder_weights : public engine::parameters {
 public:
  decoder_weights(engine::checkpoint& from, decoder& to) : from_(&from), to_(&to) {}

  at::Tensor take(const std::string& name, at::IntArrayRef shape) override {
    auto t = from_->take(name, shape).clone();
    if (of_decoder(name)) to_->trained.emplace_back(name, t.set_requires_grad(true));
    to_->all.emplace_back(name, t);
    return t;
  }
  bool has(const std::string& name) const override { return from_->has(name); }

 private:
  engine::checkpoint* from_;
  decoder* to_;
};

}  // namespace

result<decoder> open_decoder(const options& o) {
  const auto opened = engine::checkpoint::open(o.model / "vae", at::kFloat, o.device);
  if (!opened) return fail(opened.error());
  const auto config = engine::parse_autoencoder_kl_config(vae_config());
  if (!config) return fail(config.error());
  decoder d;
  decoder_weights weights(**opened, d);
  d.vae = std::make_unique<engine::autoencoder_kl>(*config, engine::scope(weights));
  if (auto complete = (*opened)->finish(); !complete) return fail(complete.error());
  return d;
}

result<outcome> run_decoder_stage(const decoder& d, const std::string& name,
                                  std::int64_t iterations, double rate,
                                  const std::function<at::Tensor(std::int64_t, int)>& loss,
                                  const options& o) {
  adamw optimizer(d.trained, {});
  const stage s{.name = name,
                .iterations = iterations,
                .rate = [&](std::int64_t i) { return learning_rate(i, iterations, rate, 50, 0.6); },
                .loss = loss,
                .keep = [&](std::int64_t i) -> result<void> {
                  if (auto shown = show_autoencoder(*d.vae, o, name, i); !shown) return shown;
                  return save_component(o.model / "vae", vae_config(), d.all);
                }};
  return run_stage(s, optimizer, o);
}

at::Tensor sample_latents(const engine::autoencoder_kl& vae, const at::Tensor& pictures,
                          std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  const auto moments = vae.encode(pictures).to(at::kFloat);
  return engine::latent_distribution::from_moments(moments).sample(
      at::detail::createCPUGenerator(seed));
}

}  // namespace lp::train
