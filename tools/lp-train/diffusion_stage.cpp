// SPDX-License-Identifier: MIT
#include <cmath>
#include <future>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/clip_tokenizer.hpp"
#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/generate.hpp"
#include "tools/lp-train/loop.hpp"
#include "tools/lp-train/noise.hpp"
#include "tools/lp-train/parallel.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {
namespace {

constexpr double empty_prompts = 0.1;  // share, for classifier-free guidance

result<engine::clip_tokenizer> make_tokenizer(const options& o) {
  const auto folder = o.model / "tokenizer";
  drawing::random r(o.seed + 11);
  std::vector<std::string> captions;
  for (int i = 0; i < 4000; ++i) {
    captions.push_back(drawing::caption(drawing::training_scene(r), r, true));
  }
  if (auto made = engine::train_clip_tokenizer(captions, tokenizer_merges, prompt_tokens, folder);
      !made) {
    return fail(made.error());
  }
  return engine::clip_tokenizer::open(folder);
}

/// Scenes with their latents, made once.
struct pool {
  std::vector<drawing::scene> scenes;
  at::Tensor latents;
};

pool encode_part(const engine::autoencoder_kl& vae, const options& o, int part) {
  at::set_num_threads(1);
  const at::NoGradGuard no_grad;
  const bf16_products guard(o.bfloat16);
  drawing::random r(o.seed + 23 + static_cast<std::uint64_t>(part));
  pool p;
  std::vector<at::Tensor> latents;
  while (static_cast<std::int64_t>(p.scenes.size()) < o.pool / batch_parts) {
    std::vector<drawing::scene> some;
    for (int i = 0; i < 16; ++i) some.push_back(drawing::training_scene(r));
    const auto moments = vae.encode(to_tensor(some).to(o.device)).to(at::kFloat);
    latents.push_back(moments.narrow(1, 0, vae.config().latent_channels));
    p.scenes.insert(p.scenes.end(), some.begin(), some.end());
  }
  p.latents = at::cat(latents);
  return p;
}

pool encode_pool(const engine::autoencoder_kl& vae, const options& o) {
  fmt::print(stderr, "encoding {} pictures\n", o.pool);
  const auto how = o.threads > 1 ? std::launch::async : std::launch::deferred;
  std::vector<std::future<pool>> parts;
  for (int part = 0; part < batch_parts; ++part) {
    parts.push_back(std::async(how, encode_part, std::cref(vae), std::cref(o), part));
  }
  pool all;
  std::vector<at::Tensor> latents;
  for (auto& part : parts) {
    const auto p = part.get();
    all.scenes.insert(all.scenes.end(), p.scenes.begin(), p.scenes.end());
    latents.push_back(p.latents);
  }
  all.latents = at::cat(latents);
  const auto spread = all.latents.std().item<double>();
  fmt::print(stderr, "latents have a standard deviation of {:.3f}\n", spread);
  return all;
}

at::Tensor loss_of(const diffusion_networks& n, const engine::clip_tokenizer& tokenizer,
                   const pool& data, const options& o, std::int64_t iteration, int part) {
  const auto seed = part_seed(o.seed * 2'000'003 + (1ULL << 40), iteration, part);
  const auto count = o.diffusion_batch / batch_parts;
  drawing::random r(seed);
  const auto generator = at::detail::createCPUGenerator(seed);
  std::vector<std::string> prompts;
  std::vector<std::int64_t> rows, times;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto row = r.below(static_cast<int>(data.scenes.size()));
    rows.push_back(row);
    const auto& scene = data.scenes[static_cast<std::size_t>(row)];
    prompts.push_back(r.chance(empty_prompts) ? "" : drawing::caption(scene, r, true));
    // One time from each of `batch` equal parts: the loss varies less from batch to batch.
    const double share = (static_cast<double>(i) + r.uniform(0, 1)) / double(count);
    // More of the noisy times, where the prompt decides what becomes of the picture.
    times.push_back(static_cast<std::int64_t>(std::pow(share, 0.7) * train_timesteps));
  }
  const auto clean = data.latents.index_select(0, at::tensor(rows).to(o.device));
  const auto noise = at::randn(clean.sizes(), generator).to(o.device);
  const auto t = at::tensor(times).to(o.device);
  const auto mixed = add_noise(clean, noise, t);
  const bf16_products guard(o.bfloat16);
  engine::unet_input in;
  in.sample = mixed.sample;
  in.timestep = t;
  in.encoder_hidden_states = n.text(token_ids(tokenizer, prompts).to(o.device)).last_hidden_state;
  return (n.unet(in) - mixed.target).square().mean();
}

/// A sheet of held-out prompts as the network sees them now, and how many are right.
result<void> show(const diffusion_networks& n, const engine::clip_tokenizer& tokenizer,
                  const engine::autoencoder_kl& vae, const options& o, std::int64_t iteration) {
  const at::NoGradGuard no_grad;
  auto tasks = drawing::held_out_tasks(64, 21);
  const auto known = drawing::training_tasks(32, 22);
  tasks.insert(tasks.end(), known.begin(), known.end());
  const auto pictures = generate({&tokenizer, &n.text, &n.unet, &vae}, prompts_of(tasks),
                                 {.steps = 10, .guidance = 5, .seed = 1, .device = o.device});
  tasks.resize(64);
  fmt::print("diffusion {}: held out: {}; training: {}\n", iteration,
             to_string(score_of(tasks, pictures.narrow(0, 0, 64))),
             to_string(score_of(known, pictures.narrow(0, 64, 32))));
  std::fflush(stdout);
  return save_sheet(o.work / fmt::format("diffusion-{:06}.png", iteration),
                    pictures.narrow(0, 0, 40), 10);
}

result<void> save_model(const diffusion_networks& n, const engine::clip_tokenizer& tokenizer,
                        const options& o) {
  const auto vocabulary = static_cast<std::int64_t>(tokenizer.vocab_size());
  if (auto saved = save_component(o.model / "text_encoder", text_config(vocabulary),
                                  n.text_source.tensors());
      !saved) {
    return saved;
  }
  if (auto saved = save_component(o.model / "unet", unet_config(), n.unet_source.tensors());
      !saved) {
    return saved;
  }
  return save_index(o.model);
}

}  // namespace

result<outcome> train_diffusion(const options& o) {
  const auto tokenizer = make_tokenizer(o);
  if (!tokenizer) return fail(tokenizer.error());
  const auto vae = engine::load_autoencoder_kl(o.model / "vae", at::kFloat, o.device);
  if (!vae) return fail(vae.error());
  const auto data = encode_pool(**vae, o);
  const diffusion_networks n(static_cast<std::int64_t>(tokenizer->vocab_size()), o.seed, o.device);
  adamw optimizer(n.tensors(), {});
  const stage s{
      .name = "diffusion",
      .iterations = o.diffusion_iterations,
      .rate =
          [&](std::int64_t i) {
            return learning_rate(i, o.diffusion_iterations, o.diffusion_rate, 200, 1.0);
          },
      .loss = [&](std::int64_t i, int part) { return loss_of(n, *tokenizer, data, o, i, part); },
      .keep = [&](std::int64_t i) -> result<void> {
        if (auto shown = show(n, *tokenizer, **vae, o, i); !shown) return shown;
        return save_model(n, *tokenizer, o);
      }};
  return run_stage(s, optimizer, o);
}

}  // namespace lp::train
