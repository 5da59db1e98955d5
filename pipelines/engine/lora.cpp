// SPDX-License-Identifier: MIT
// Adding to a network's layers.
#include "pipelines/engine/lora.hpp"

#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/finite.hpp"
#include "pipelines/engine/lora_delta.hpp"
#include "pipelines/engine/lora_names.hpp"
#include "pipelines/engine/unet.hpp"

namespace lp::engine {

namespace {

/// What is wrong with an addition, or "".
using defect = std::string;

defect misfit(const lora_entry& e, const at::Tensor& weight) {
  return fmt::format("{} do not fit a layer of [{}]", shapes_of(e),
                     fmt::join(weight.sizes(), ", "));
}

/// Why an addition came out as no finite numbers.
defect not_finite(const lora_entry& e, at::ScalarType type) {
  for (const auto& [which, tensor] : e.tensors)
    if (!all_finite(tensor)) return "holds numbers that are not finite (NaN or infinite)";
  return fmt::format("at this strength its numbers are beyond what {} holds", at::toString(type));
}

/// As the layer's own weights are held. The strength goes into one of them, at full precision.
nn::adapter as_weights(const at::Tensor& down, const at::Tensor& up, double strength,
                       const at::Tensor& weight) {
  const auto options = at::TensorOptions(weight.scalar_type()).device(weight.device());
  return {down.to(options).contiguous(), (up.to(at::kFloat) * strength).to(options).contiguous()};
}

double strength_of(const lora_entry& e, double strength) {
  const auto scalar = e.at(lora_role::scalar);
  const auto scaled = e.scale * strength;
  return scalar.defined() ? scaled * scalar.to(at::kDouble).item<double>() : scaled;
}

/// Down and up beside a linear layer or, with `conv`, a convolution.
template <class Layer>
defect add_beside(Layer& layer, const lora_entry& e, double strength, bool conv) {
  const auto& w = layer.weight;
  const auto shaped = [&](const at::Tensor& t) {
    if (!conv) return t.dim() > 2 ? t.flatten(1) : t;
    return t.dim() == 2 ? t.unsqueeze(-1).unsqueeze(-1) : t;
  };
  const auto down = shaped(whole_down(e)), up = shaped(e.at(lora_role::up));
  const std::int64_t dims = conv ? 4 : 2;
  bool fits = down.dim() == dims && up.dim() == dims && up.size(1) == down.size(0) &&
              down.size(1) == w.size(1) && up.size(0) == w.size(0);
  if (fits && conv)
    fits = up.size(2) == 1 && up.size(3) == 1 && down.size(2) == w.size(2) &&
           down.size(3) == w.size(3);
  if (!fits) return misfit(e, w);
  auto made = as_weights(down, up, strength_of(e, strength), w);
  if (!all_finite(made.down) || !all_finite(made.up)) return not_finite(e, w.scalar_type());
  layer.adapters.push_back(std::move(made));
  return {};
}

/// The weight in the order of its dimensions.
at::Tensor plain_weight(const at::Tensor& weight) {
  return weight.is_mkldnn() ? weight.to_dense() : weight;
}

template <class Layer>
defect change_weight(Layer& layer, const lora_entry& e, double strength) {
  const bool packed = layer.weight.is_mkldnn();
  const auto plain = plain_weight(layer.weight);
  const auto change = change_of_weight(e, plain, strength);
  if (!change.defined()) return {};
  const auto type = plain.scalar_type();
  auto changed = (plain.to(at::kFloat) + change).to(type);
  if (!all_finite(changed)) return not_finite(e, type);
  layer.weight = changed.contiguous(plain.suggest_memory_format());
  if constexpr (requires { layer.pack(); }) {
    if (packed) layer.pack();
  }
  return {};
}

template <class Layer>
defect change_bias(Layer& layer, const lora_entry& e, double strength) {
  const auto change = change_of_bias(e, strength);
  if (!change.defined()) return {};
  const auto outputs = layer.weight.size(0);
  if (change.numel() != outputs) return misfit(e, layer.weight);
  const auto& before = layer.bias;
  const auto like = before.defined() ? before : plain_weight(layer.weight);
  auto changed = change.reshape({outputs}).to(like.device());
  if (before.defined()) changed = changed + before.to(at::kFloat);
  layer.bias = changed.to(like.scalar_type());
  return all_finite(layer.bias) ? defect() : not_finite(e, like.scalar_type());
}

template <class Layer>
defect add_to(Layer& layer, const lora_entry& e, double strength, bool conv) {
  const c10::InferenceMode no_gradients;  // in which weights were put in order
  try {
    auto wrong = stays_low_rank(e) ? add_beside(layer, e, strength, conv)
                                   : change_weight(layer, e, strength);
    return wrong.empty() ? change_bias(layer, e, strength) : wrong;
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error&) {
    return misfit(e, layer.weight);
  }
}

/// Adds the entries that the file has for the network of that name; `blocks` as lora_layers.
template <class Network>
result<void> add_entries(Network& net, std::string_view network, int blocks, const lora_file& file,
                         double strength, std::vector<std::string>& unmatched) {
  const lora_layers all(net, blocks, file.numbers_gates());
  for (const auto& e : file.entries()) {
    if (e.network != network) continue;
    auto* linear = all.linear(e);
    auto* conv = all.conv(e);
    if (linear == nullptr && conv == nullptr) {
      unmatched.push_back(e.name);
      continue;
    }
    const auto wrong =
        linear != nullptr ? add_to(*linear, e, strength, false) : add_to(*conv, e, strength, true);
    if (!wrong.empty())
      return fail(ec::bad_file, fmt::format("{}: {}: {}", file.path().string(), e.name, wrong));
  }
  return {};
}

}  // namespace

result<void> add_lora(unet& network, const lora_file& file, double strength,
                      std::vector<std::string>& unmatched) {
  const auto blocks = network.config().levels.front().layers;
  return add_entries(network, "unet", static_cast<int>(blocks), file, strength, unmatched);
}

result<void> add_lora(clip_text& network, const std::string& name, const lora_file& file,
                      double strength, std::vector<std::string>& unmatched) {
  return add_entries(network, name, 0, file, strength, unmatched);
}

}  // namespace lp::engine
