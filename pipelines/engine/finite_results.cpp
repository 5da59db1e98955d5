// SPDX-License-Identifier: MIT
#include "pipelines/engine/finite_results.hpp"

#include <string>

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

namespace lp::engine {

namespace {

using parts = stable_diffusion::parts;

/// The first layer of which a number is not finite; "" if there is none. Reads all weights.
template <class Network>
std::string damaged_layer(const Network& network) {
  const c10::InferenceMode no_gradients;  // in which weights were put in order
  Network copy = network;                 // of the layers; the tensors are shared
  std::string found;
  const auto look = [&](const auto& layer) {
    if (!found.empty()) return;
    const auto weight = layer.weight.is_mkldnn() ? layer.weight.to_dense() : layer.weight;
    bool good = all_finite(weight) && all_finite(layer.bias);
    for (const auto& a : layer.adapters) good = good && all_finite(a.down) && all_finite(a.up);
    if (!good) found = layer.name;
  };
  copy.visit({[&](nn::linear& l) { look(l); }, [&](nn::conv2d& c) { look(c); }});
  return found;
}

tl::unexpected<error> not_finite(const std::string& what, const std::string& damaged,
                                 const std::string& otherwise) {
  const auto why =
      damaged.empty() ? otherwise : "the weights of its layer " + damaged + " hold such";
  return fail(ec::pipeline_failed,
              fmt::format("{} is not finite (NaN or infinite): {}", what, why));
}

constexpr auto range_or_damage =
    "its weights are damaged, or numbers on the way are beyond what their type holds";

bool finite_texts(const drawing::state& s) {
  return all_finite(s.prompts) && all_finite(s.negatives) && all_finite(s.pooled) &&
         all_finite(s.pooled_negatives);
}

tl::unexpected<error> wrong_texts(const parts& p) {
  const auto& texts = p.texts;
  std::string damaged;
  for (std::size_t i = 0; i < texts.size() && damaged.empty(); ++i) {
    damaged = damaged_layer(*texts[i].get());
    if (!damaged.empty() && i > 0) damaged += " (text_encoder_2)";
  }
  return not_finite("what the text encoder makes of the prompt", damaged, range_or_damage);
}

tl::unexpected<error> wrong_latents(const parts& p, const drawing::state& s) {
  const auto damaged = damaged_layer(p.ready_unet());
  return not_finite(fmt::format("the UNet's result in step {}", s.next - s.first), damaged,
                    range_or_damage);
}

}  // namespace

result<void> check_start(const parts& p, const drawing::state& s) {
  if (!p.device.is_cpu()) return {};
  if (!finite_texts(s)) return wrong_texts(p);
  bool good = all_finite(s.latents) && all_finite(s.kept);
  for (const auto& pass : s.passes) good = good && all_finite(pass.extra);
  if (good) return {};
  return not_finite("what the autoencoder makes of the image", "", range_or_damage);
}

result<void> check_step(const parts& p, const drawing::state& s) {
  if (!p.device.is_cpu() || all_finite(s.latents)) return {};
  return wrong_latents(p, s);
}

result<at::Tensor> decode_checked(const parts& p, const drawing::state& s, std::int64_t i) {
  const auto latents = s.latents.narrow(0, i, 1);
  if (!all_finite(latents)) return finite_texts(s) ? wrong_latents(p, s) : wrong_texts(p);
  auto decoded = p.decode_raw(latents, s.request.lean);
  if (!all_finite(decoded)) return not_finite("the autoencoder's picture", "", range_or_damage);
  return decoded;
}

}  // namespace lp::engine
