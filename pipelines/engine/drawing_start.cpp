// SPDX-License-Identifier: MIT
// How a drawing begins: prompts, guidance, initial latents. The order in which a seed's numbers are
// drawn is that of the Python pipelines: what an encoded picture is sampled with, then the noise.
#include <atomic>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include "pipelines/engine/conditioning.hpp"
#include "pipelines/engine/finite_results.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/random.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"
#include "pipelines/engine/upload.hpp"
#include "pipelines/scheduler_names.hpp"

namespace lp::engine {

namespace {

using parts = stable_diffusion::parts;

/// `what` begins with the field's name and a colon.
error wrong(const std::string& what) {
  const auto colon = what.find(": ");
  return {ec::invalid_parameters,
          what,
          {{{"body", what.substr(0, colon)}, what.substr(colon + 2), "value_error"}}};
}

result<void> check_lists(const drawing_request& r) {
  const auto pictures = r.prompts.size() * static_cast<std::size_t>(r.images_per_prompt);
  if (r.prompts.empty()) return fail(wrong("prompt: expected at least one"));
  if (r.images_per_prompt < 1) return fail(wrong("num_images_per_prompt: expected at least 1"));
  if (r.seeds.size() != pictures)
    return fail(wrong(
        fmt::format("seed: expected {}, one for each picture, not {}", pictures, r.seeds.size())));
  for (const auto* list : {&r.negative_prompts, &r.negative_prompts_2}) {
    if (const auto n = list->size(); n > 1 && n != r.prompts.size())
      return fail(wrong("negative_prompt: expected none, one, or one for each prompt"));
  }
  if (!r.prompts_2.empty() && r.prompts_2.size() != r.prompts.size())
    return fail(wrong("prompt_2: expected none, or one for each prompt"));
  return {};
}

result<void> check_pictures(const parts& p, const drawing_request& r) {
  const bool upscales = p.kind == diffusion_kind::upscaling;
  const auto fits = [&](const at::Tensor& t, std::int64_t channels) {
    return t.dim() == 4 && t.size(0) == 1 && t.size(1) == channels &&
           (upscales || (t.size(2) == r.height && t.size(3) == r.width));
  };
  if (p.kind != diffusion_kind::drawing && !r.image.defined())
    return fail(wrong("image: this model needs a picture to start from"));
  if (p.kind == diffusion_kind::inpainting && !r.mask.defined())
    return fail(wrong("mask_image: this model repaints and needs a mask"));
  if (r.mask.defined() && !r.image.defined())
    return fail(wrong("mask_image: expected an image with it"));
  if (r.image.defined() && !fits(r.image, 3))
    return fail(wrong(fmt::format("image: expected one of {}x{}", r.width, r.height)));
  if (r.mask.defined() && !fits(r.mask, 1))
    return fail(wrong(fmt::format("mask_image: expected one of {}x{}", r.width, r.height)));
  if (r.mask.defined() && (upscales || p.kind == diffusion_kind::editing))
    return fail(wrong("mask_image: this model takes none"));
  if (!(r.strength >= 0 && r.strength <= 1))
    return fail(wrong("strength: expected a number from 0 to 1"));
  if (upscales && (r.noise_level < 0 || r.noise_level >= p.unet->config().num_class_embeds))
    return fail(
        wrong(fmt::format("noise_level: expected 0 to {}", p.unet->config().num_class_embeds - 1)));
  return {};
}

result<void> check(const parts& p, const drawing_request& r) {
  if (auto ok = check_lists(r); !ok) return ok;
  // Upscalers take any size: their latents have the small picture's.
  const auto scale = p.kind == diffusion_kind::upscaling ? 1 : p.scale();
  for (const auto& [name, side] : {std::pair{"height", r.height}, std::pair{"width", r.width}}) {
    if (side >= scale && side % scale == 0) continue;
    return fail(wrong(fmt::format("{}: expected a multiple of {}, not {}", name, scale, side)));
  }
  const auto layers = p.texts.front().config().num_hidden_layers - (p.is_xl() ? 1 : 0);
  if (r.clip_skip < 0 || r.clip_skip >= layers)
    return fail(wrong(fmt::format("clip_skip: expected 0 to {}", layers - 1)));
  return check_pictures(p, r);
}

std::vector<std::string> for_each_prompt(std::vector<std::string> texts, std::size_t prompts) {
  if (!texts.empty()) texts.resize(prompts, texts.front());
  return texts;
}

/// Fills in a drawing's state, part by part.
class beginning {
 public:
  beginning(const parts& p, drawing::state& s) : p_(p), s_(s), r_(s.request) {}

  result<void> begin() {
    for (const auto seed : r_.seeds) s_.generators.push_back(seeded_generator(seed));
    if (auto ok = plan_steps(); !ok) return ok;
    encode_texts();
    if (p_.embeds_guidance()) {
      const auto guidance = at::full({1}, r_.guidance_scale - 1, at::kFloat);
      s_.guidance_embedding =
          upload(guidance_embedding(guidance, p_.unet->config().time_cond_proj_dim), p_.device);
    }
    const auto& times = s_.scheduler->timesteps();
    s_.times = upload(at::tensor(std::vector<float>(times.begin(), times.end())), p_.device);
    switch (p_.kind) {
      case diffusion_kind::upscaling:
        return begin_upscaling();
      case diffusion_kind::editing:
        begin_editing();
        return {};
      default:
        r_.mask.defined() ? begin_masked() : begin_plain();
        return {};
    }
  }

 private:
  bool starts_with_image() const {
    return r_.image.defined() &&
           (p_.kind == diffusion_kind::drawing || p_.kind == diffusion_kind::inpainting);
  }

  result<void> plan_steps() {
    auto made = p_.new_scheduler(r_.scheduler);
    if (!made) return fail(made.error());
    s_.scheduler = std::move(*made);
    s_.scheduler->set_eta(r_.eta);
    note_what_is_ignored();
    if (!starts_with_image()) return s_.scheduler->set_timesteps(r_.steps);
    const auto first = s_.scheduler->set_timesteps_from(r_.steps, r_.strength);
    if (!first) return fail(first.error());
    s_.first = s_.next = *first;
    return {};
  }

  /// The Python pipelines ignore them, too, without a word.
  void note_what_is_ignored() {
    const auto* own = p_.scheduler_config.if_contains("_class_name");
    std::string sampler(pipelines::scheduler_class_of(r_.scheduler));
    if (sampler.empty()) sampler = p_.scheduler_class;
    if (sampler.empty() && own != nullptr && own->is_string()) sampler = own->get_string();
    if (r_.eta != 0 && sampler != "DDIMScheduler" && sampler != "TCDScheduler")
      s_.notes.push_back(fmt::format("eta has no effect on the sampler {}", sampler));
    if (r_.guidance_rescale > 0 && (!guided() || p_.kind == diffusion_kind::editing))
      s_.notes.emplace_back(guided() ? "guidance_rescale has no effect on editing models"
                                     : "guidance_rescale has no effect without guidance");
  }

  bool guided() const {
    if (p_.embeds_guidance() || !(r_.guidance_scale > 1)) return false;
    return p_.kind != diffusion_kind::editing || r_.image_guidance_scale >= 1;
  }

  at::Tensor one_a_picture(const at::Tensor& rows) const {
    if (!rows.defined()) return rows;
    auto sizes = rows.sizes().vec();
    sizes.insert(sizes.begin() + 1, r_.images_per_prompt);
    return rows.unsqueeze(1).expand(sizes).flatten(0, 1);
  }

  void encode_texts() {
    const auto n = r_.prompts.size();
    const bool without = r_.negative_prompts.empty() && r_.negative_prompts_2.empty();
    auto negatives = for_each_prompt(r_.negative_prompts, n);
    if (negatives.empty()) negatives.assign(n, "");
    const auto negatives_2 = for_each_prompt(r_.negative_prompts_2, n);
    const prompt_list asked{r_.prompts, r_.prompts_2};
    const prompt_list avoided{negatives, negatives_2};
    auto pieces = pieces_of(p_, asked);
    if (guided()) pieces = std::max(pieces, pieces_of(p_, avoided));
    if (pieces > most_pieces) {
      pieces = most_pieces;
      s_.notes.push_back(fmt::format("of the prompts only the first {} tokens are heeded",
                                     pieces * (p_.tokenizers.front().max_length() - 2)));
    }

    const auto positive = encode_prompts(p_, asked, pieces, r_.clip_skip);
    s_.prompts = positive.text;
    s_.pooled = positive.pooled;
    guidance_pass pass{one_a_picture(s_.prompts), one_a_picture(s_.pooled)};
    if (p_.is_xl()) pass.sizes = sizes_row(r_.sizes);
    if (guided()) {
      if (without && p_.zeros_for_no_negative) {
        s_.negatives = at::zeros_like(s_.prompts);
        s_.pooled_negatives = at::zeros_like(s_.pooled);
      } else {
        const auto negative = encode_prompts(p_, avoided, pieces, 0);
        s_.negatives = negative.text;
        s_.pooled_negatives = negative.pooled;
      }
      guidance_pass other{one_a_picture(s_.negatives), one_a_picture(s_.pooled_negatives)};
      if (p_.is_xl()) other.sizes = sizes_row(r_.negative_sizes ? r_.negative_sizes : r_.sizes);
      s_.passes.push_back(std::move(other));
    }
    s_.passes.push_back(std::move(pass));
  }

  at::Tensor sizes_row(const std::optional<size_condition>& given) const {
    const std::pair own{r_.height, r_.width};
    const auto c = given.value_or(size_condition{own, {0, 0}, own});
    const std::vector<double> row{
        static_cast<double>(c.original.first), static_cast<double>(c.original.second),
        static_cast<double>(c.crop.first),     static_cast<double>(c.crop.second),
        static_cast<double>(c.target.first),   static_cast<double>(c.target.second)};
    return upload(at::tensor(row, at::kFloat), p_.device).expand({count(), -1});
  }

  std::int64_t count() const { return static_cast<std::int64_t>(r_.seeds.size()); }
  std::vector<std::int64_t> latent_shape() const {
    return {count(), p_.latent_channels(), r_.height / p_.scale(), r_.width / p_.scale()};
  }
  /// On the device.
  at::Tensor noise_of(at::IntArrayRef shape) {
    return upload(draw_noise(shape, s_.generators), p_.device);
  }
  /// Pictures in [0, 1] as the autoencoder takes them.
  at::Tensor centred(const at::Tensor& picture) const { return picture * 2 - 1; }
  at::Tensor encoded(const at::Tensor& picture) const {
    return p_.encode(centred(upload(picture, p_.device)), r_.lean);
  }

  void begin_plain() {
    if (!r_.image.defined()) {
      s_.latents = noise_of(latent_shape()) * s_.scheduler->init_noise_sigma();
      return;
    }
    const auto known = p_.sample_latents(encoded(r_.image), s_.generators);
    const auto noise = noise_of(latent_shape());
    s_.latents = s_.scheduler->add_noise(known, noise, s_.next);
  }

  void begin_masked() {
    const bool own_channels = p_.kind == diffusion_kind::inpainting;
    const bool all_new = r_.strength >= 1;
    const auto mask = upload(r_.mask, p_.device).ge(0.5).to(at::kFloat);
    const auto shape = latent_shape();
    at::Tensor known;
    if (!own_channels || !all_new) known = p_.sample_latents(encoded(r_.image), s_.generators);
    const auto noise = noise_of(shape);
    s_.latents = all_new ? noise * s_.scheduler->init_noise_sigma()
                         : s_.scheduler->add_noise(known, noise, s_.next);
    // The masked picture is encoded even where no channel takes it: it uses up random numbers.
    const auto masked = p_.sample_latents(
        p_.encode(centred(upload(r_.image, p_.device)) * mask.lt(0.5), r_.lean), s_.generators);
    const auto small = at::upsample_nearest2d(mask, at::IntArrayRef{shape[2], shape[3]});
    if (own_channels) {
      add_channels(at::cat({small.expand({count(), -1, -1, -1}), masked}, 1));
    } else {
      s_.kept = known;
      s_.kept_noise = noise;
      s_.mask = small;
    }
  }

  void begin_editing() {
    const auto known = p_.likely_latents(encoded(r_.image)).expand(latent_shape());
    if (guided()) {
      // Negative and prompt become: prompt with picture, negative with picture, negative alone.
      const auto negative = s_.passes[0];
      s_.passes = {s_.passes[1], negative, negative};
      s_.passes[2].extra = at::zeros(known.sizes(), known.options());
      s_.passes[0].extra = s_.passes[1].extra = known;
    } else {
      add_channels(known);
    }
    s_.latents = noise_of(latent_shape()) * s_.scheduler->init_noise_sigma();
  }

  result<void> begin_upscaling() {
    auto config = p_.low_res_scheduler;
    const auto low = make_scheduler(config, "DDPMScheduler");
    if (!low) return fail(low.error());
    const auto small = centred(upload(r_.image, p_.device)).expand({count(), -1, -1, -1});
    const auto noise = noise_of(small.sizes());
    add_channels((*low)->add_noise_at(small, noise, r_.noise_level));
    s_.labels = upload(at::full({1}, r_.noise_level, at::kLong), p_.device);
    s_.latents = noise_of({count(), p_.latent_channels(), small.size(2), small.size(3)}) *
                 s_.scheduler->init_noise_sigma();
    return {};
  }

  void add_channels(const at::Tensor& extra) {
    for (auto& pass : s_.passes) pass.extra = extra;
  }

  const parts& p_;
  drawing::state& s_;
  const drawing_request& r_;
};

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
  if (auto ok = check(p, request); !ok) return fail(ok.error());
  return guarded([&]() -> result<std::unique_ptr<drawing>> {
    static std::atomic<std::uint64_t> serials{0};
    auto s = std::make_unique<drawing::state>();
    s->serial = ++serials;
    s->request = request;
    if (auto ok = beginning(p, *s).begin(); !ok) return fail(ok.error());
    s->pipeline = std::move(pipeline);
    if (auto ok = check_start(p, *s); !ok) return fail(ok.error());
    return std::unique_ptr<drawing>(new drawing(std::move(s)));
  });
}

}  // namespace lp::engine
