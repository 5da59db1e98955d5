// SPDX-License-Identifier: MIT
// The way of a picture: prompt, embeddings, latents, denoising, pixels.
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/random.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

namespace {

/// Latent positions a UNet call takes at most, to bound its memory and its time: four pictures of
/// 512x512, or one of any size.
constexpr std::int64_t positions_a_call = 4 * 64 * 64;

/// Above this many pixels the autoencoder works on tiles.
constexpr std::int64_t untiled_pixels = std::int64_t{1} << 20;

using parts = stable_diffusion::parts;

result<void> check(const parts& p, const drawing_request& r, std::int64_t scale) {
  const auto wrong = [](const std::string& what) { return fail(ec::invalid_parameters, what); };
  const auto pictures = r.prompts.size() * static_cast<std::size_t>(r.images_per_prompt);
  if (r.prompts.empty()) return wrong("prompt: expected at least one");
  if (r.images_per_prompt < 1) return wrong("num_images_per_prompt: expected at least 1");
  if (r.seeds.size() != pictures) {
    return wrong(
        fmt::format("seed: expected {}, one for each picture, not {}", pictures, r.seeds.size()));
  }
  if (const auto n = r.negative_prompts.size(); n > 1 && n != r.prompts.size())
    return wrong("negative_prompt: expected none, one, or one for each prompt");
  for (const auto& [name, side] : {std::pair{"height", r.height}, std::pair{"width", r.width}}) {
    if (side >= scale && side % scale == 0) continue;
    return wrong(fmt::format("{}: expected a multiple of {}, not {}", name, scale, side));
  }
  const auto layers = p.text->config().num_hidden_layers;
  if (r.clip_skip < 0 || r.clip_skip >= layers)
    return wrong(fmt::format("clip_skip: expected 0 to {}", layers - 1));
  return {};
}

at::Tensor encode(const parts& p, const std::vector<std::string>& texts, int clip_skip) {
  std::vector<std::int64_t> ids;
  for (const auto& text : texts) {
    const auto some = p.tokenizer.encode(text);
    ids.insert(ids.end(), some.begin(), some.end());
  }
  const auto rows = static_cast<std::int64_t>(texts.size());
  const auto out = (*p.text)(at::tensor(ids, at::kLong).reshape({rows, -1}).to(p.device));
  if (clip_skip == 0) return out.last_hidden_state.to(at::kFloat);
  const auto& hidden = out.hidden_states[out.hidden_states.size() - 1 - clip_skip];
  return p.text->final_norm(hidden).to(at::kFloat);
}

/// The network's prediction for the pictures [first, first + n) of `input`.
at::Tensor predict(const drawing::state& s, const parts& p, const at::Tensor& input,
                   std::int64_t first, std::int64_t n) {
  const bool guided = s.negatives.defined();
  const auto rows =
      at::arange(first, first + n).div(s.request.images_per_prompt, "floor").to(p.device);
  auto sample = input.narrow(0, first, n).to(p.device);
  auto text = s.prompts.index_select(0, rows);
  if (guided) {
    sample = at::cat({sample, sample});
    text = at::cat({s.negatives.index_select(0, rows), text});
  }
  unet_input in;
  in.sample = sample;
  in.timestep = at::full({1}, s.scheduler->timesteps()[s.next], at::kFloat).to(p.device);
  in.encoder_hidden_states = text;
  if (s.guidance_embedding.defined())
    in.timestep_cond = s.guidance_embedding.expand({sample.size(0), -1});
  const auto out = (*p.unet)(in).to(at::kCPU, at::kFloat);
  if (!guided) return out;
  const auto without = out.narrow(0, 0, n);
  const auto with = out.narrow(0, n, n);
  const auto mixed = without + (with - without) * s.request.guidance_scale;
  if (s.request.guidance_rescale <= 0) return mixed;
  return rescale_guidance(mixed, with, s.request.guidance_rescale);
}

}  // namespace

at::Tensor guidance_embedding(const at::Tensor& guidance, std::int64_t size) {
  // Such large angles depend on the last bit of the frequencies: the order of the fp32 operations
  // is that of the Python library, which differs from its time embedding.
  const auto half = size / 2;
  const auto width = at::full({}, 10000.0, at::kFloat).log() / static_cast<double>(half - 1);
  const auto frequencies = (at::arange(half, at::kFloat) * -width).exp();
  const auto angles = guidance.to(at::kFloat).unsqueeze(-1) * 1000.0 * frequencies;
  std::vector<at::Tensor> columns{angles.sin(), angles.cos()};
  if (size % 2 == 1) columns.push_back(at::zeros({guidance.size(0), 1}));
  return at::cat(columns, 1);
}

result<std::unique_ptr<drawing>> stable_diffusion::start(
    std::shared_ptr<const stable_diffusion> pipeline, const drawing_request& request) {
  const auto& p = *pipeline->parts_;
  if (auto ok = check(p, request, pipeline->scale()); !ok) return fail(ok.error());
  return guarded([&]() -> result<std::unique_ptr<drawing>> {
    auto s = std::make_unique<drawing::state>();
    s->request = request;
    auto scheduler = p.new_scheduler();
    if (!scheduler) return fail(scheduler.error());
    s->scheduler = std::move(*scheduler);
    if (request.eta != 0) s->scheduler->set_eta(request.eta);
    if (auto ok = s->scheduler->set_timesteps(request.steps); !ok) return fail(ok.error());

    s->prompts = encode(p, request.prompts, request.clip_skip);
    if (p.embeds_guidance()) {
      const auto guidance = at::full({1}, request.guidance_scale - 1, at::kFloat);
      s->guidance_embedding =
          guidance_embedding(guidance, p.unet->config().time_cond_proj_dim).to(p.device);
    } else if (request.guidance_scale > 1) {
      auto negatives = request.negative_prompts;
      negatives.resize(request.prompts.size(), negatives.empty() ? "" : negatives.front());
      s->negatives = encode(p, negatives, 0);
    }
    for (const auto seed : request.seeds) s->generators.push_back(seeded_generator(seed));
    const auto scale = pipeline->scale();
    const auto shape = {static_cast<std::int64_t>(request.seeds.size()),
                        p.vae->config().latent_channels, request.height / scale,
                        request.width / scale};
    s->latents = draw_noise(shape, s->generators) * s->scheduler->init_noise_sigma();
    s->pipeline = std::move(pipeline);
    return std::unique_ptr<drawing>(new drawing(std::move(s)));
  });
}

drawing::drawing(std::unique_ptr<state> s) : state_(std::move(s)) {}
drawing::~drawing() = default;

int drawing::done() const {
  return static_cast<int>(state_->next);
}
int drawing::total() const {
  return static_cast<int>(state_->scheduler->timesteps().size());
}
std::int64_t drawing::count() const {
  return state_->latents.size(0);
}
const at::Tensor& drawing::latents() const {
  return state_->latents;
}
const at::Tensor& drawing::prompt_embeds() const {
  return state_->prompts;
}
const at::Tensor& drawing::negative_prompt_embeds() const {
  return state_->negatives;
}

result<void> drawing::step() {
  if (done() >= total()) return fail(ec::internal, "the drawing has no step left");
  return guarded([&]() -> result<void> {
    auto& s = *state_;
    const auto input = s.scheduler->scale_model_input(s.latents, s.next);
    const auto positions = input.size(2) * input.size(3);
    const auto at_once = std::max<std::int64_t>(1, positions_a_call / positions);
    std::vector<at::Tensor> predictions;
    for (std::int64_t first = 0; first < count(); first += at_once) {
      predictions.push_back(
          predict(s, *s.pipeline->parts_, input, first, std::min(at_once, count() - first)));
    }
    s.latents = s.scheduler->step(at::cat(predictions), s.next, s.latents, s.generators);
    ++s.next;
    return {};
  });
}

result<at::Tensor> drawing::picture(std::int64_t i) const {
  if (i < 0 || i >= count()) return fail(ec::internal, "there is no picture of that number");
  return guarded([&]() -> result<at::Tensor> {
    const auto& s = *state_;
    const auto& p = *s.pipeline->parts_;
    const auto& vae = *p.vae;
    const auto latents =
        (s.latents.narrow(0, i, 1) / vae.config().scaling_factor + vae.config().shift_factor)
            .to(p.device);
    const bool tiled = s.request.width * s.request.height > untiled_pixels;
    tiling tiles;
    tiles.sample_size = tiles.latent_size * vae.config().scale();
    const auto decoded = tiled ? vae.decode_tiled(latents, tiles) : vae.decode(latents);
    return (decoded.to(at::kCPU, at::kFloat) / 2 + 0.5).clamp(0, 1);
  });
}

at::Tensor rescale_guidance(const at::Tensor& guided, const at::Tensor& conditional, double share) {
  const auto deviation = [](const at::Tensor& x) {
    std::vector<std::int64_t> dims;
    for (std::int64_t d = 1; d < x.dim(); ++d) dims.push_back(d);
    return x.std(dims, true, true);
  };
  const auto brought_back = guided * (deviation(conditional) / deviation(guided));
  return brought_back * share + guided * (1 - share);
}

}  // namespace lp::engine
