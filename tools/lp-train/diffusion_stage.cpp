// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/clip_tokenizer.hpp"
#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/generate.hpp"
#include "tools/lp-train/latents.hpp"
#include "tools/lp-train/loop.hpp"
#include "tools/lp-train/noise.hpp"
#include "tools/lp-train/parallel.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {
namespace {

// Shares of the examples.
constexpr double empty_prompts = 0.1;  // for classifier-free guidance
constexpr double edits = 0.3;
constexpr double overdone = 0.1;

// A tokenizer that is there stays: weights of a run that goes on know its numbers.
result<engine::clip_tokenizer> make_tokenizer(const options& o) {
  const auto folder = o.model / "tokenizer";
  if (std::filesystem::exists(folder)) return engine::clip_tokenizer::open(folder);
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

/// What the two networks learn from in one part of a batch. The noise that the UNet shall find is
///   noise + change (before - wanted) + excess wanted
/// with latents for `before` and `wanted`; for most examples both factors are 0.
struct examples {
  std::vector<drawing::scene> wanted;
  std::vector<drawing::scene> before;
  std::vector<std::string> prompts;
  std::vector<std::int64_t> times;
  std::vector<double> change;
  std::vector<double> excess;
};

double signal_to_noise(std::int64_t time) {
  static const auto alphas = cumulative_alphas();
  const double a = alphas[time].item<double>();
  return std::sqrt(a / (1 - a));
}

/// A drawing taken up in the middle by another prompt: at time `start` the sample is a noisy
/// `before`. What deterministic steps leave of it later is noise in the same proportion, and the
/// UNet learns not to be misled by it: image to image, and its own first errors.
void add_edit(examples& e, drawing::random& r, std::int64_t time) {
  const auto edit = drawing::training_edit(r);
  const auto start = std::max(time, static_cast<std::int64_t>(r.uniform(450, 970)));
  e.wanted.push_back(edit.after);
  e.before.push_back(edit.before);
  e.prompts.push_back(drawing::caption(edit.after, r, edit.background_stays));
  e.change.push_back(signal_to_noise(start));
  e.excess.push_back(0);
}

/// Some with more contrast than there is: what much guidance makes of the first steps.
void add_plain(examples& e, drawing::random& r, std::int64_t time) {
  e.wanted.push_back(drawing::training_scene(r));
  e.before.push_back(e.wanted.back());
  e.prompts.push_back(r.chance(empty_prompts) ? "" : drawing::caption(e.wanted.back(), r, true));
  e.change.push_back(0);
  e.excess.push_back(time < 960 && r.chance(overdone) ? r.uniform(0, 0.6) : 0);
}

examples make_examples(drawing::random& r, std::int64_t count) {
  examples e;
  for (std::int64_t i = 0; i < count; ++i) {
    // One time from each of `count` equal parts: the loss varies less from batch to batch.
    const double share = (static_cast<double>(i) + r.uniform(0, 1)) / double(count);
    // More of the noisy times, where the prompt decides what becomes of the picture.
    const auto time = static_cast<std::int64_t>(std::pow(share, 0.7) * train_timesteps);
    e.times.push_back(time);
    if (r.chance(edits)) {
      add_edit(e, r, time);
    } else {
      add_plain(e, r, time);
    }
  }
  return e;
}

at::Tensor column(const std::vector<double>& values, at::Device device) {
  return at::tensor(values).to(at::kFloat).view({-1, 1, 1, 1}).to(device);
}

at::Tensor loss_of(const diffusion_networks& n, const engine::clip_tokenizer& tokenizer,
                   latent_cache& latents, const options& o, std::int64_t iteration, int part) {
  const auto seed = part_seed(o.seed * 2'000'003 + (1ULL << 40), iteration, part);
  drawing::random r(seed);
  const auto generator = at::detail::createCPUGenerator(seed);
  const auto e = make_examples(r, o.diffusion_batch / batch_parts);
  const auto clean = latents.of(e.wanted);
  const auto noise = at::randn(clean.sizes(), generator).to(o.device) +
                     column(e.change, o.device) * (latents.of(e.before) - clean) +
                     column(e.excess, o.device) * clean;
  const auto t = at::tensor(e.times).to(o.device);
  const auto mixed = add_noise(clean, noise, t);
  const bf16_products guard(o.bfloat16);
  engine::unet_input in;
  in.sample = mixed.sample;
  in.timestep = t;
  in.encoder_hidden_states = n.text(token_ids(tokenizer, e.prompts).to(o.device)).last_hidden_state;
  return (n.unet(in) - mixed.target).square().mean();
}

/// A sheet of held-out prompts as the network sees them now, and how many are right.
result<void> show(const diffusion_networks& n, const engine::clip_tokenizer& tokenizer,
                  const engine::autoencoder_kl& vae, const options& o, std::int64_t iteration) {
  const at::NoGradGuard no_grad;
  const auto tasks = drawing::held_out_tasks(64, 21);
  const auto drawn = [&](double guidance) {
    return generate({&tokenizer, &n.text, &n.unet, &vae}, prompts_of(tasks),
                    {.steps = 10, .guidance = guidance, .seed = 1, .device = o.device});
  };
  const auto pictures = drawn(1.5);
  fmt::print("diffusion {}: guidance 1.5: {}; guidance 7.5: {}\n", iteration,
             to_string(score_of(tasks, pictures)), to_string(score_of(tasks, drawn(7.5))));
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
  latent_cache latents(**vae, o);
  const diffusion_networks n(static_cast<std::int64_t>(tokenizer->vocab_size()), o.seed, o.device);
  adamw optimizer(n.tensors(), {});
  const stage s{
      .name = "diffusion",
      .iterations = o.diffusion_iterations,
      .rate =
          [&](std::int64_t i) {
            return learning_rate(i, o.diffusion_iterations, o.diffusion_rate, 200, 1.0);
          },
      .loss = [&](std::int64_t i, int part) { return loss_of(n, *tokenizer, latents, o, i, part); },
      .keep = [&](std::int64_t i) -> result<void> {
        if (auto shown = show(n, *tokenizer, **vae, o, i); !shown) return shown;
        return save_model(n, *tokenizer, o);
      }};
  return run_stage(s, optimizer, o);
}

}  // namespace lp::train
