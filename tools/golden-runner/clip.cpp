// SPDX-License-Identifier: MIT
// CLIP: the picture encoder, both encoders together, and what is done to a picture before.
#include <ATen/ATen.h>
#include <boost/json/object.hpp>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/clip_image_processor.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/clip_vision.hpp"
#include "pipelines/engine/json_file.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

/// A picture [h, w, 3] of bytes.
pipelines::rgb_image picture_of(const at::Tensor& t) {
  const auto plain = t.contiguous();
  return {static_cast<std::uint32_t>(t.size(1)), static_cast<std::uint32_t>(t.size(0)),
          std::string(static_cast<const char*>(plain.data_ptr()), plain.nbytes())};
}

at::Tensor tensor_of(const pipelines::rgb_image& p) {
  const auto shape = {std::int64_t{p.height}, std::int64_t{p.width}, std::int64_t{3}};
  return at::from_blob(const_cast<char*>(p.pixels.data()), shape, at::kByte).clone();
}

/// As VaeImageProcessor: [1, 3, h, w] in [-1, 1].
at::Tensor for_autoencoder(const pipelines::rgb_image& p) {
  return tensor_of(p).permute({2, 0, 1}).unsqueeze(0).to(at::kFloat) / 127.5 - 1;
}

/// As VaeImageProcessor makes masks: the luma of ITU-R BT.601 in whole numbers, then 0 or 1.
at::Tensor mask_of(const pipelines::rgb_image& p) {
  const auto weights = at::tensor({19595, 38470, 7471}, at::kInt);
  const auto luma =
      (tensor_of(p).to(at::kInt) * weights).sum(-1).add(1 << 15).bitwise_right_shift(16);
  return luma.ge(128).to(at::kFloat).unsqueeze(0).unsqueeze(0);
}

/// "pil_bicubic_up" -> bicubic.
std::optional<pipelines::resampling> filter_in(std::string_view name) {
  using pipelines::resampling;
  for (const auto& [word, filter] :
       {std::pair{"nearest", resampling::nearest}, std::pair{"bilinear", resampling::bilinear},
        std::pair{"bicubic", resampling::bicubic}, std::pair{"lanczos", resampling::lanczos}}) {
    if (name.starts_with("pil_") && name.find(word) != name.npos) return filter;
  }
  return std::nullopt;
}

result<at::Tensor> process(const pipelines::rgb_image& p, std::string_view name,
                           const at::Tensor& expected) {
  if (const auto filter = filter_in(name)) {
    const auto made = pipelines::resample(p, static_cast<std::uint32_t>(expected.size(1)),
                                          static_cast<std::uint32_t>(expected.size(0)), *filter);
    if (!made) return fail(made.error());
    return tensor_of(*made);
  }
  if (name.starts_with("vae_") || name == "mask") {
    const auto made = pipelines::resample(p, static_cast<std::uint32_t>(expected.size(3)),
                                          static_cast<std::uint32_t>(expected.size(2)),
                                          pipelines::resampling::lanczos);
    if (!made) return fail(made.error());
    return name == "mask" ? mask_of(*made) : for_autoencoder(*made);
  }
  if (!name.starts_with("clip")) return at::Tensor();
  const auto side = expected.size(2);
  engine::clip_image_config config;
  config.places = pipelines::weight_places::torchvision;
  config.shortest_edge = config.crop_width = config.crop_height = side;
  return engine::process_clip_image(p, config);
}

}  // namespace

result<answer> run_vision_encoder(const golden_case& c) {
  const auto name = golden_case::class_name(c.path("model_dir") / "config.json");
  if (!name) return fail(name.error());
  if (*name != "CLIPVisionModelWithProjection") return answer::not_yet(*name);
  const auto encoder = engine::load_clip_vision(c.path("model_dir"), at::kFloat);
  if (!encoder) return fail(encoder.error());
  const auto got = (**encoder)(c.input("pixel_values"));
  return answer{{{"last_hidden_state", got.last_hidden_state}, {"image_embeds", got.image_embeds}},
                {}};
}

result<answer> run_clip(const golden_case& c) {
  const auto folder = c.path("model_dir");
  const auto config = engine::read_json_file(folder / "config.json");
  if (!config) return fail(config.error());
  const auto* inner = config->if_contains("text_config");
  if (inner == nullptr || !inner->is_object()) return answer::not_yet("CLIP without text_config");
  auto text_config = engine::parse_clip_text_config(inner->get_object());
  if (!text_config) return fail(text_config.error());
  const auto vision_config = engine::parse_clip_vision_config(*config);
  if (!vision_config) return fail(vision_config.error());
  text_config->with_projection = true;
  text_config->projection_dim = vision_config->projection_dim;
  const auto source = engine::checkpoint::open(folder, at::kFloat);
  if (!source) return fail(source.error());
  const engine::scope top(**source);
  const engine::clip_text texts(*text_config, top);
  const engine::clip_vision pictures(*vision_config, top);
  const auto scale = top.take("logit_scale", {}).exp();
  if (auto ok = (*source)->finish(); !ok) return fail(ok.error());
  const auto unit = [](const at::Tensor& t) { return t / t.norm(2, {-1}, true); };
  // What the mask hides lies behind the end of the text, which no token before it sees.
  const auto text = unit(texts(c.input("input_ids")).text_embeds);
  const auto picture = unit(pictures(c.input("pixel_values")).image_embeds);
  answer out;
  out.values["text_embeds"] = text;
  out.values["image_embeds"] = picture;
  out.values["logits_per_image"] = at::matmul(picture, text.t()) * scale;
  return out;
}

result<answer> run_image(const golden_case& c) {
  if (!c.input("image_u8").defined() || !c.input("noisy_u8").defined())
    return answer::not_yet("other pictures");
  answer out;
  for (const auto& [name, expected] : c.expected()) {
    const bool noisy =
        name.find("noisy") != name.npos || name.starts_with("pil_") || name == "mask";
    const auto picture = picture_of(c.input(noisy ? "noisy_u8" : "image_u8"));
    auto made = process(picture, name, expected.value);
    if (!made) return fail(made.error());
    if (made->defined()) out.values[name] = std::move(*made);
  }
  return out;
}

}  // namespace lp::goldens
