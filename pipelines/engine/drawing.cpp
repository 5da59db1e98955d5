// SPDX-License-Identifier: MIT
// The way of a picture from latents to pixels, alone or in company: a call of the network takes
// pictures of several drawings, each with its own time, and none of them notices.
#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "pipelines/engine/drawing_input.hpp"
#include "pipelines/engine/finite_results.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/pixels.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

namespace {

using parts = stable_diffusion::parts;

/// One picture's passes as the prediction that the scheduler takes.
at::Tensor mix(const drawing_request& r, const at::Tensor& passes) {
  if (passes.size(0) == 1) return passes;
  const auto pass = [&](std::int64_t i) { return passes.narrow(0, i, 1); };
  if (passes.size(0) == 3) {
    // Eq. 3 of arXiv 2211.09800.
    return pass(2) + (pass(0) - pass(1)) * r.guidance_scale +
           (pass(1) - pass(2)) * r.image_guidance_scale;
  }
  const auto mixed = pass(0) + (pass(1) - pass(0)) * r.guidance_scale;
  if (r.guidance_rescale <= 0) return mixed;
  return rescale_guidance(mixed, pass(1), r.guidance_rescale);
}

/// Predictions for all pictures, at most `at_once` rows of the network's batch in a call.
std::vector<at::Tensor> predict(const parts& p, const std::vector<picture_at>& pictures,
                                std::int64_t at_once, bool lean) {
  std::vector<at::Tensor> out;
  std::vector<picture_at> call;
  const auto flush = [&] {
    const auto rows = p.call_unet(gather(call), lean).to(at::kFloat);
    std::int64_t row = 0;
    for (const auto& picture : call) {
      const auto passes = static_cast<std::int64_t>(picture.of->passes.size());
      out.push_back(mix(picture.of->request, rows.narrow(0, row, passes)));
      row += passes;
    }
    call.clear();
  };
  std::int64_t rows = 0;
  for (const auto& picture : pictures) {
    const auto passes = static_cast<std::int64_t>(picture.of->passes.size());
    if (!call.empty() && rows + passes > at_once) {
      flush();
      rows = 0;
    }
    call.push_back(picture);
    rows += passes;
  }
  flush();
  return out;
}

/// Predicts, and where memory does not suffice once more with a picture a call.
std::vector<at::Tensor> predict_within_memory(const parts& p,
                                              const std::vector<picture_at>& pictures,
                                              std::int64_t at_once, bool lean) {
  try {
    return predict(p, pictures, at_once, lean);
  } catch (const std::exception& thrown) {
    if (error_of(thrown).code != ec::out_of_memory) throw;
    if (p.calls) p.calls->forget();
    if (pictures.size() < 2) throw;
  }
  return predict(p, pictures, 1, true);
}

void advance(drawing::state& s, const at::Tensor& prediction) {
  s.latents = s.scheduler->step(prediction, s.next, s.latents, s.generators);
  ++s.next;
  if (!s.mask.defined()) return;
  const bool last = s.next >= s.scheduler->timesteps().size();
  const auto outside = last ? s.kept : s.scheduler->add_noise(s.kept, s.kept_noise, s.next);
  s.latents = outside * (1 - s.mask) + s.latents * s.mask;
}

}  // namespace

drawing::drawing(std::unique_ptr<state> s) : state_(std::move(s)) {}
drawing::~drawing() = default;

int drawing::done() const {
  return static_cast<int>(state_->next - state_->first);
}
int drawing::total() const {
  return static_cast<int>(state_->scheduler->timesteps().size() - state_->first);
}
std::int64_t drawing::count() const {
  return state_->latents.size(0);
}
const std::vector<std::string>& drawing::notes() const {
  return state_->notes;
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
const at::Tensor& drawing::pooled_prompt_embeds() const {
  return state_->pooled;
}
const at::Tensor& drawing::negative_pooled_prompt_embeds() const {
  return state_->pooled_negatives;
}

std::uint64_t drawing::batch_key() const {
  const auto& s = *state_;
  std::uint64_t key = reinterpret_cast<std::uintptr_t>(s.pipeline->parts_->unet.get());
  for (const auto part : {s.latents.size(2), s.latents.size(3), s.passes.front().text.size(1)})
    key = (key ^ static_cast<std::uint64_t>(part)) * 0x100000001b3U;
  return key == 0 ? 1 : key;
}

result<void> drawing::step() {
  drawing* const self = this;
  return step_together({&self, 1}).front();
}

std::vector<result<void>> drawing::step_together(std::span<drawing* const> drawings) {
  for (const auto* d : drawings) {
    if (d->done() < d->total()) continue;
    return std::vector<result<void>>(drawings.size(),
                                     fail(ec::internal, "the drawing has no step left"));
  }
  std::vector<int> before;
  for (const auto* d : drawings) before.push_back(d->done());
  const auto outcome = guarded([&]() -> result<void> {
    std::vector<at::Tensor> shown;
    for (const auto* d : drawings)
      shown.push_back(d->state_->scheduler->scale_model_input(d->state_->latents, d->state_->next));
    std::vector<picture_at> pictures;
    for (std::size_t k = 0; k < drawings.size(); ++k) {
      for (std::int64_t i = 0; i < drawings[k]->count(); ++i)
        pictures.push_back({drawings[k]->state_.get(), &shown[k], i});
    }
    const auto positions = shown.front().size(2) * shown.front().size(3);
    const bool lean = std::any_of(drawings.begin(), drawings.end(),
                                  [](const auto* d) { return d->state_->request.lean; });
    const auto& p = *drawings.front()->state_->pipeline->parts_;
    const auto at_once = lean ? 1 : p.rows_a_call(positions);
    const auto predictions = predict_within_memory(p, pictures, at_once, lean);
    auto next = predictions.begin();
    for (auto* d : drawings) {
      const auto end = next + d->count();
      advance(*d->state_, at::cat(std::vector<at::Tensor>(next, end)));
      next = end;
    }
    if (p.device.is_cuda()) end_round(p.device, 1);
    return {};
  });
  if (!outcome && drawings.size() < 2) return {outcome};
  // Whose fault it is shows when each goes alone.
  std::vector<result<void>> out;
  for (std::size_t k = 0; k < drawings.size(); ++k)
    out.push_back(drawings[k]->done() > before[k]
                      ? check_step(*drawings[k]->state_->pipeline->parts_, *drawings[k]->state_)
                      : drawings[k]->step());
  return out;
}

result<at::Tensor> drawing::picture(std::int64_t i) const {
  if (i < 0 || i >= count()) return fail(ec::internal, "there is no picture of that number");
  return guarded([&]() -> result<at::Tensor> {
    const auto decoded = decode_checked(*state_->pipeline->parts_, *state_, i);
    if (!decoded) return fail(decoded.error());
    return (decoded->to(at::kCPU, at::kFloat) / 2 + 0.5).clamp(0, 1);
  });
}

result<rgb_image> drawing::pixels(std::int64_t i) const {
  if (i < 0 || i >= count()) return fail(ec::internal, "there is no picture of that number");
  return guarded([&]() -> result<rgb_image> {
    const auto decoded = decode_checked(*state_->pipeline->parts_, *state_, i);
    if (!decoded) return fail(decoded.error());
    return decoded_pixels(*decoded);
  });
}

result<at::Tensor> drawing::preview(std::int64_t i) const {
  const auto& p = *state_->pipeline->parts_;
  if (i < 0 || i >= count()) return fail(ec::internal, "there is no picture of that number");
  if (!p.tiny)
    return fail(ec::bad_request, "preview: this model has no vae_tiny folder to make one with");
  return guarded([&]() -> result<at::Tensor> {
    const auto& foreseen = state_->scheduler->pred_original();
    const auto& from = foreseen.defined() ? foreseen : state_->latents;
    const auto latents = from.narrow(0, i, 1) / p.tiny.config().scaling_factor;
    const auto decoded = p.tiny->decode(latents).to(at::kCPU, at::kFloat);
    if (!all_finite(decoded))
      return fail(ec::pipeline_failed, "preview: the tiny autoencoder's picture is not finite");
    return (decoded / 2 + 0.5).clamp(0, 1);
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
