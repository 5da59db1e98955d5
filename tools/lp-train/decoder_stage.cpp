// SPDX-License-Identifier: MIT
// The autoencoder's decoder goes on alone. The encoder stays as it is, and with it the latents:
// this stage can run before, after or beside stage diffusion.
#include <ATen/ATen.h>

#include "pipelines/engine/checkpoint.hpp"
#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/loop.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {
namespace {

bool of_decoder(std::string_view name) {
  return name.starts_with("decoder.") || name.starts_with("post_quant_conv.");
}

/// Copies of a checkpoint's tensors, of which the decoder's record gradients.
class decoder_weights : public engine::parameters {
 public:
  explicit decoder_weights(engine::checkpoint& from) : from_(&from) {}

  at::Tensor take(const std::string& name, at::IntArrayRef shape) override {
    auto t = from_->take(name, shape).clone();
    if (of_decoder(name)) trained.emplace_back(name, t.set_requires_grad(true));
    all.emplace_back(name, t);
    return t;
  }
  bool has(const std::string& name) const override { return from_->has(name); }

  engine::named_tensors all;
  engine::named_tensors trained;

 private:
  engine::checkpoint* from_;
};

at::Tensor loss_of(const engine::autoencoder_kl& vae, const options& o, std::int64_t iteration,
                   int part) {
  const auto seed = part_seed(o.seed * 3'000'017, iteration, part);
  const auto pictures = to_tensor(crowded_scenes(seed, o.vae_batch / batch_parts)).to(o.device);
  const bf16_products guard(o.bfloat16);
  at::Tensor latents;
  {
    const at::NoGradGuard no_grad;
    const auto moments = vae.encode(pictures).to(at::kFloat);
    latents = engine::latent_distribution::from_moments(moments).sample(
        at::detail::createCPUGenerator(seed));
  }
  return picture_loss(vae.decode(latents), pictures);
}

}  // namespace

result<outcome> train_decoder(const options& o) {
  const auto opened = engine::checkpoint::open(o.model / "vae", at::kFloat, o.device);
  if (!opened) return fail(opened.error());
  const auto config = engine::parse_autoencoder_kl_config(vae_config());
  if (!config) return fail(config.error());
  decoder_weights weights(**opened);
  const engine::autoencoder_kl vae(*config, engine::scope(weights));
  if (auto complete = (*opened)->finish(); !complete) return fail(complete.error());
  adamw optimizer(weights.trained, {});
  const stage s{.name = "decoder",
                .iterations = o.decoder_iterations,
                .rate =
                    [&](std::int64_t i) {
                      return learning_rate(i, o.decoder_iterations, o.vae_rate, 50, 0.6);
                    },
                .loss = [&](std::int64_t i, int part) { return loss_of(vae, o, i, part); },
                .keep = [&](std::int64_t i) -> result<void> {
                  if (auto shown = show_autoencoder(vae, o, "decoder", i); !shown) return shown;
                  return save_component(o.model / "vae", vae_config(), weights.all);
                }};
  return run_stage(s, optimizer, o);
}

}  // namespace lp::train
