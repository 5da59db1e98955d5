// SPDX-License-Identifier: MIT
// Stage finish: the decoder learns to make clean pictures of what the UNet leaves.
#include <algorithm>
#include <cmath>
#include <future>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/decoder.hpp"
#include "tools/lp-train/generate.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/precision.hpp"

namespace lp::train {
namespace {

/// Latents as the UNet leaves them, and the pictures they should have become.
struct drawn_latents {
  std::vector<drawing::scene> scenes;
  at::Tensor latents;
};

/// A scene whose caption says all that is on the picture.
drawing::scene fully_said_scene(drawing::random& r) {
  using drawing::size;
  for (;;) {
    auto s = drawing::training_scene(r);
    auto& o = s.objects.front();
    if (s.order == drawing::arrangement::single) {
      o.said_size = o.radius < 14 ? size::small : o.radius < 18 ? size::medium : size::large;
    }
    if (!drawing::held_out(s)) return s;
  }
}

drawn_latents draw_part(const networks& n, const options& o, int part) {
  at::set_num_threads(1);
  const bf16_products guard(o.bfloat16);
  drawing::random r(o.seed + 41 + static_cast<std::uint64_t>(part));
  drawn_latents d;
  std::vector<at::Tensor> latents;
  while (static_cast<std::int64_t>(d.scenes.size()) < o.drawn / batch_parts) {
    std::vector<std::string> prompts;
    for (int i = 0; i < 32; ++i) {
      d.scenes.push_back(fully_said_scene(r));
      prompts.push_back(drawing::caption(d.scenes.back(), r));
    }
    const sampling s{.steps = 8 + r.below(9),
                     .guidance = r.chance(0.3) ? 7.5 : 1.5,
                     .seed = r.next(),
                     .device = o.device};
    latents.push_back(generate_latents(n, prompts, s));
  }
  d.latents = at::cat(latents);
  return d;
}

double error_of(const engine::autoencoder_kl& vae, const drawing::scene& scene,
                const at::Tensor& drawn, const options& o) {
  const auto wanted = latent_mean(vae, to_tensor({scene}).to(o.device));
  return (drawn - wanted).square().mean().item<double>();
}

drawn_latents draw_all(const networks& n, const options& o) {
  fmt::print(stderr, "drawing {} latents\n", o.drawn);
  const auto how = o.threads > 1 ? std::launch::async : std::launch::deferred;
  std::vector<std::future<drawn_latents>> parts;
  for (int part = 0; part < batch_parts; ++part) {
    parts.push_back(std::async(how, draw_part, std::cref(n), std::cref(o), part));
  }
  drawn_latents all;
  std::vector<at::Tensor> latents;
  for (auto& part : parts) {
    const auto d = part.get();
    all.scenes.insert(all.scenes.end(), d.scenes.begin(), d.scenes.end());
    latents.push_back(d.latents);
  }
  all.latents = at::cat(latents);
  return all;
}

/// Without the pictures that the UNet got quite wrong: no decoder could know what they should be.
/// Half of them stay in any case.
drawn_latents good_ones(const networks& n, const drawn_latents& all, const options& o) {
  constexpr double quite_wrong = 0.5;
  const at::NoGradGuard no_grad;
  std::vector<double> errors;
  for (std::size_t i = 0; i < all.scenes.size(); ++i) {
    const auto drawn = all.latents.narrow(0, static_cast<std::int64_t>(i), 1);
    errors.push_back(error_of(*n.vae, all.scenes[i], drawn, o));
  }
  auto sorted = errors;
  std::ranges::sort(sorted);
  const double limit = std::max(quite_wrong, sorted[sorted.size() / 2]);
  drawn_latents good;
  std::vector<std::int64_t> rows;
  double sum = 0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if (errors[i] > limit) continue;
    sum += errors[i];
    rows.push_back(static_cast<std::int64_t>(i));
    good.scenes.push_back(all.scenes[i]);
  }
  good.latents = all.latents.index_select(0, at::tensor(rows).to(o.device));
  fmt::print(stderr, "{} of {} kept, deviation from the real latents {:.3f}\n", rows.size(),
             errors.size(), std::sqrt(sum / static_cast<double>(rows.size())));
  return good;
}

// Errors near edges weigh five times as much: flat areas are right long before small stars are.
at::Tensor edge_loss(const at::Tensor& seen, const at::Tensor& wanted) {
  const auto highest = at::max_pool2d(wanted, {5, 5}, {1, 1}, {2, 2});
  const auto lowest = -at::max_pool2d(-wanted, {5, 5}, {1, 1}, {2, 2});
  const auto weight = 1 + 4 * (highest - lowest).amax(1, true).gt(0.1).to(at::kFloat);
  const auto error = seen - wanted;
  return ((error.abs() + 2 * error.square()) * weight).mean() / weight.mean();
}

bool smaller(const drawing::scene& a, const drawing::scene& b) {
  return a.objects.front().radius < b.objects.front().radius;
}

// Small shapes are the hard ones: the smaller of two.
drawing::scene rather_small_scene(drawing::random& r) {
  auto a = drawing::training_scene(r), b = drawing::training_scene(r);
  return smaller(a, b) ? a : b;
}

std::int64_t rather_small_row(const drawn_latents& d, drawing::random& r) {
  const auto count = static_cast<int>(d.scenes.size());
  const auto a = static_cast<std::size_t>(r.below(count));
  const auto b = static_cast<std::size_t>(r.below(count));
  return static_cast<std::int64_t>(smaller(d.scenes[a], d.scenes[b]) ? a : b);
}

// Half of a batch is what the UNet draws; the rest are real latents with more noise than the
// encoder's, of the scenes that the model knows and of crowded ones: the decoder stays one of
// any picture.
at::Tensor finish_loss(const engine::autoencoder_kl& vae, const drawn_latents& data,
                       const options& o, std::int64_t iteration, int part) {
  const auto seed = part_seed(o.seed * 5'000'011, iteration, part);
  const auto count = o.vae_batch / batch_parts;
  drawing::random r(seed);
  std::vector<drawing::scene> real = crowded_scenes(seed, (count + 5) / 6), scenes;
  while (static_cast<std::int64_t>(real.size()) < count / 2) real.push_back(rather_small_scene(r));
  std::vector<std::int64_t> rows;
  while (static_cast<std::int64_t>(real.size() + rows.size()) < count) {
    rows.push_back(rather_small_row(data, r));
    scenes.push_back(data.scenes[static_cast<std::size_t>(rows.back())]);
  }
  const bf16_products guard(o.bfloat16);
  const auto pictures = to_tensor(real).to(o.device);
  const auto generator = at::detail::createCPUGenerator(seed + 1);
  auto latents = sample_latents(vae, pictures, seed);
  latents = latents + at::randn(latents.sizes(), generator).to(o.device) * r.uniform(0, 0.25);
  const auto drawn = data.latents.index_select(0, at::tensor(rows).to(o.device));
  return edge_loss(vae.decode(at::cat({latents, drawn})).to(at::kFloat),
                   at::cat({pictures, to_tensor(scenes).to(o.device)}));
}

}  // namespace

result<outcome> finish_decoder(const options& o) {
  const auto d = open_decoder(o);
  if (!d) return fail(d.error());
  const auto model = load_model(o);
  if (!model) return fail(model.error());
  const auto n = model->view();
  const auto data = good_ones(n, draw_all(n, o), o);
  const auto loss = [&](std::int64_t i, int part) {
    return finish_loss(*d->vae, data, o, i, part);
  };
  return run_decoder_stage(*d, "finish", o.finish_iterations, o.finish_rate, loss, o);
}

}  // namespace lp::train
