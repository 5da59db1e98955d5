// SPDX-License-Identifier: MIT
#include "tools/lp-train/generate.hpp"

#include <ATen/ATen.h>

#include "pipelines/engine/checkpoint.hpp"
#include "tools/lp-train/noise.hpp"

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

at::Tensor latents_of_batch(const networks& n, std::vector<std::string> prompts, const sampling& s,
                            const at::Tensor& from) {
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
  if (!from.defined()) return sample_ddim(noise.to(s.device), s.steps, 0, predict);
  const int first = s.steps - static_cast<int>(s.steps * s.strength);
  if (first >= s.steps) return from;
  const auto time = at::full({count}, ddim_time(s.steps, first), at::TensorOptions(at::kLong));
  const auto mixed = add_noise(from, noise.to(s.device), time.to(s.device));
  return sample_ddim(mixed.sample, s.steps, first, predict);
}

}  // namespace

at::Tensor generate_latents(const networks& n, const std::vector<std::string>& prompts,
                            const sampling& s, const at::Tensor& from) {
  const at::NoGradGuard no_grad;
  constexpr std::size_t batch = 32;
  std::vector<at::Tensor> parts;
  for (std::size_t i = 0; i < prompts.size(); i += batch) {
    const auto last = std::min(i + batch, prompts.size());
    auto one = s;
    one.seed += i;
    const auto begin = static_cast<std::ptrdiff_t>(i), end = static_cast<std::ptrdiff_t>(last);
    parts.push_back(latents_of_batch(n, {prompts.begin() + begin, prompts.begin() + end}, one,
                                     from.defined() ? from.slice(0, begin, end) : from));
  }
  return at::cat(parts);
}

at::Tensor generate(const networks& n, const std::vector<std::string>& prompts, const sampling& s,
                    const at::Tensor& from) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> pictures;
  for (const auto& some : generate_latents(n, prompts, s, from).split(32)) {
    pictures.push_back(n.vae->decode(some / n.vae->config().scaling_factor).clamp(-1, 1).cpu());
  }
  return at::cat(pictures);
}

std::vector<std::string> prompts_of(const std::vector<drawing::task>& tasks) {
  std::vector<std::string> out;
  for (const auto& t : tasks) out.push_back(t.prompt);
  return out;
}

result<loaded_model> load_model(const options& o) {
  auto tokenizer = engine::clip_tokenizer::open(o.model / "tokenizer");
  if (!tokenizer) return fail(tokenizer.error());
  auto text = engine::load_clip_text(o.model / "text_encoder", at::kFloat, o.device);
  if (!text) return fail(text.error());
  auto unet = engine::load_unet(o.model / "unet", at::kFloat, o.device);
  if (!unet) return fail(unet.error());
  auto vae = engine::load_autoencoder_kl(o.model / "vae", at::kFloat, o.device);
  if (!vae) return fail(vae.error());
  return loaded_model{*std::move(tokenizer), *std::move(text), *std::move(unet), *std::move(vae)};
}

}  // namespace lp::train
