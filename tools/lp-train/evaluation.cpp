// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/checkpoint.hpp"
#include "runtime/base/clock.hpp"
#include "tests/support/picture_judge.hpp"
#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/generate.hpp"
#include "tools/lp-train/noise.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {

at::Tensor token_ids(const engine::clip_tokenizer& tokenizer,
                     const std::vector<std::string>& prompts) {
  std::vector<std::int64_t> ids;
  for (const auto& p : prompts) {
    const auto one = tokenizer.encode(p);
    ids.insert(ids.end(), one.begin(), one.end());
  }
  return at::tensor(ids).view({static_cast<std::int64_t>(prompts.size()), -1});
}

namespace {

at::Tensor generate_batch(const networks& n, std::vector<std::string> prompts, const sampling& s) {
  const auto count = static_cast<std::int64_t>(prompts.size());
  prompts.insert(prompts.begin(), prompts.size(), "");
  const auto text = n.text->operator()(token_ids(*n.tokenizer, prompts).to(s.device));
  const auto side = n.unet->config().sample_size;
  const auto noise = at::randn({count, n.unet->config().in_channels, side, side},
                               at::detail::createCPUGenerator(s.seed));
  const auto predict = [&](const at::Tensor& x, std::int64_t t) {
    engine::unet_input in;
    in.sample = at::cat({x, x});
    in.timestep = at::full({2 * count}, t, at::TensorOptions(at::kLong).device(s.device));
    in.encoder_hidden_states = text.last_hidden_state;
    const auto v = n.unet->operator()(in);
    const auto without = v.narrow(0, 0, count);
    return without + s.guidance * (v.narrow(0, count, count) - without);
  };
  const auto latents = sample_ddim(noise.to(s.device), s.steps, predict);
  return n.vae->decode(latents / n.vae->config().scaling_factor).clamp(-1, 1).cpu();
}

}  // namespace

at::Tensor generate(const networks& n, const std::vector<std::string>& prompts, const sampling& s) {
  const at::NoGradGuard no_grad;
  constexpr std::size_t batch = 32;
  std::vector<at::Tensor> parts;
  for (std::size_t i = 0; i < prompts.size(); i += batch) {
    const auto last = std::min(i + batch, prompts.size());
    auto one = s;
    one.seed += i;
    parts.push_back(generate_batch(n,
                                   {prompts.begin() + static_cast<std::ptrdiff_t>(i),
                                    prompts.begin() + static_cast<std::ptrdiff_t>(last)},
                                   one));
  }
  return at::cat(parts);
}

std::vector<std::string> prompts_of(const std::vector<drawing::task>& tasks) {
  std::vector<std::string> out;
  for (const auto& t : tasks) out.push_back(t.prompt);
  return out;
}

score score_of(const std::vector<drawing::task>& tasks, const at::Tensor& pictures) {
  score s;
  const auto height = static_cast<int>(pictures.size(2)),
             width = static_cast<int>(pictures.size(3));
  for (const auto& t : tasks) {
    const auto rgb = to_rgb8(pictures[s.count++]);
    const testing::picture_view view{rgb, width, height};
    if (t.wanted.order != drawing::arrangement::single) {
      s.pairs = true;
      s.right += testing::judge_pair(t.wanted, view);
      continue;
    }
    const auto v = testing::judge(t.wanted, view);
    s.background += v.background;
    s.colour += v.colour;
    s.shape += v.shape;
    s.place += v.place;
    s.right += v.right();
  }
  return s;
}

std::string to_string(const score& s) {
  if (s.pairs) return fmt::format("right {}/{}", s.right, s.count);
  return fmt::format("right {}/{} (background {}, colour {}, shape {}, place {})", s.right, s.count,
                     s.background, s.colour, s.shape, s.place);
}

namespace {

at::Tensor drawn(const std::vector<drawing::task>& tasks) {
  std::vector<drawing::scene> scenes;
  for (const auto& t : tasks) scenes.push_back(t.wanted);
  return to_tensor(scenes);
}

/// Prints the scores of one kind of prompts and leaves a sheet in the work folder.
result<void> evaluate(const networks& n, const std::vector<drawing::task>& tasks,
                      const std::string& kind, const sampling& s, const options& o) {
  const at::NoGradGuard no_grad;
  const auto real = drawn(tasks);
  const auto start = clock::now();
  const auto pictures = generate(n, prompts_of(tasks), s);
  const double seconds = to_ms(clock::now() - start) / 1000 / static_cast<double>(tasks.size());
  const auto through = n.vae->decode(latent_mean(*n.vae, real.to(o.device))).clamp(-1, 1).cpu();
  fmt::print("{} {} prompts, {} steps, guidance {}, {:.3f} s a picture\n", tasks.size(), kind,
             s.steps, s.guidance, seconds);
  fmt::print("  real drawings:       {}\n", to_string(score_of(tasks, real)));
  fmt::print("  through autoencoder: {}\n", to_string(score_of(tasks, through)));
  fmt::print("  generated:           {}\n", to_string(score_of(tasks, pictures)));
  const auto shown = std::min<std::int64_t>(pictures.size(0), 60);
  return save_sheet(o.work / fmt::format("evaluation {}.png", kind), pictures.narrow(0, 0, shown),
                    10);
}

}  // namespace

result<void> evaluate(const options& o, int count, int steps, double guidance) {
  const auto tokenizer = engine::clip_tokenizer::open(o.model / "tokenizer");
  if (!tokenizer) return fail(tokenizer.error());
  const auto text = engine::load_clip_text(o.model / "text_encoder", at::kFloat, o.device);
  if (!text) return fail(text.error());
  const auto unet = engine::load_unet(o.model / "unet", at::kFloat, o.device);
  if (!unet) return fail(unet.error());
  const auto vae = engine::load_autoencoder_kl(o.model / "vae", at::kFloat, o.device);
  if (!vae) return fail(vae.error());
  const networks n{&*tokenizer, text->get(), unet->get(), vae->get()};
  const sampling s{.steps = steps, .guidance = guidance, .seed = 1, .device = o.device};
  const std::vector<std::pair<std::string, std::vector<drawing::task>>> kinds{
      {"held-out", drawing::held_out_tasks(count, 100)},
      {"training", drawing::training_tasks(count, 100)},
      {"held-out two-object", drawing::held_out_tasks(count, 100, true)}};
  for (const auto& [kind, tasks] : kinds) {
    if (auto judged = evaluate(n, tasks, kind, s, o); !judged) return judged;
  }
  return {};
}

}  // namespace lp::train
