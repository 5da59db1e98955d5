// SPDX-License-Identifier: MIT
#include "pipelines/engine/lora_names.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace lp::engine {

namespace {

using role = lora_role;

struct ending {
  std::string_view text;
  lora_role means;
};

constexpr std::array<ending, 48> endings = {{
    {".lora.down.weight", role::down},
    {".lora.up.weight", role::up},
    {".lora.mid.weight", role::mid},
    {".lora.up.bias", role::up_bias},
    {"_lora.down.weight", role::down},
    {"_lora.up.weight", role::up},
    {"_lora.up.bias", role::up_bias},
    {".lora_down.weight", role::down},
    {".lora_up.weight", role::up},
    {".lora_mid.weight", role::mid},
    {".lora_up.bias", role::up_bias},
    {".lora_A.weight", role::down},
    {".lora_B.weight", role::up},
    {".lora_B.bias", role::up_bias},
    {".lora_A.default.weight", role::down},
    {".lora_B.default.weight", role::up},
    {".lora_B.default.bias", role::up_bias},
    {".lora_linear_layer.down.weight", role::down},
    {".lora_linear_layer.up.weight", role::up},
    {".lora.alpha", role::alpha},
    {"_lora.alpha", role::alpha},
    {".lora_linear_layer.alpha", role::alpha},
    {".alpha", role::alpha},
    {".scalar", role::scalar},
    {".dora_scale", role::magnitude},
    {".lora_magnitude_vector", role::magnitude},
    {"_lora_magnitude_vector", role::magnitude},
    {".lora_magnitude_vector.weight", role::magnitude},
    {".lora_magnitude_vector.default.weight", role::magnitude},
    {".diff", role::difference},
    {".diff_b", role::bias_difference},
    {".hada_w1_a", role::product_1a},
    {".hada_w1_b", role::product_1b},
    {".hada_w2_a", role::product_2a},
    {".hada_w2_b", role::product_2b},
    {".hada_t1", role::product_t1},
    {".hada_t2", role::product_t2},
    {".lokr_w1", role::kron_1},
    {".lokr_w1_a", role::kron_1a},
    {".lokr_w1_b", role::kron_1b},
    {".lokr_w2", role::kron_2},
    {".lokr_w2_a", role::kron_2a},
    {".lokr_w2_b", role::kron_2b},
    {".lokr_t2", role::kron_t2},
    {":down", role::down},
    {":up", role::up},
    {".processor.lora.down.weight", role::down},
    {".processor.lora.up.weight", role::up},
}};

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

bool place_numbered(std::string_view key, lora_entry& e) {
  for (const auto* network : {"unet", "text_encoder"}) {
    auto rest = key;
    if (!take_prefix(rest, network) || !take_prefix(rest, ":") || rest.empty()) continue;
    e.network = network;
    e.number = 0;
    for (const char c : rest) {
      if (c < '0' || c > '9' || e.number > 100000) return false;
      e.number = e.number * 10 + (c - '0');
    }
    return true;
  }
  return false;
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> joined_prefixes = {{
    {"lora_unet_", "unet"},
    {"lora_te1_", "text_encoder"},
    {"lora_te2_", "text_encoder_2"},
    {"lora_te_", "text_encoder"},
    {"lycoris_", "unet"},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> dotted_prefixes = {{
    {"unet.", "unet"},
    {"text_encoder_2.", "text_encoder_2"},
    {"text_encoder.", "text_encoder"},
    {"model.diffusion_model.", "unet"},
    {"diffusion_model.", "unet"},
    {"text_encoders.clip_l.transformer.", "text_encoder"},
    {"text_encoders.clip_g.transformer.", "text_encoder_2"},
}};

/// Text encoders' projections by the names that Diffusers used in 2023.
void rename_projections(std::string& layer) {
  for (const auto& [from, to] : {std::pair<std::string_view, std::string_view>{"to_q", "q_proj"},
                                 {"to_k", "k_proj"},
                                 {"to_v", "v_proj"},
                                 {"to_out.0", "out_proj"},
                                 {"to_out", "out_proj"}}) {
    if (!layer.ends_with(from)) continue;
    layer.replace(layer.size() - from.size(), from.size(), to);
    return;
  }
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const auto word) { return text.find(word) != text.npos; });
}

}  // namespace

std::optional<lora_name> read_lora_name(std::string_view name) {
  const ending* found = nullptr;
  for (const auto& e : endings) {
    if (name.ends_with(e.text) && (found == nullptr || e.text.size() > found->text.size()))
      found = &e;
  }
  if (found == nullptr) return std::nullopt;
  return lora_name{std::string(name.substr(0, name.size() - found->text.size())), found->means,
                   found->text.find("magnitude") != found->text.npos};
}

bool place_lora(std::string_view key, lora_entry& e) {
  if (place_numbered(key, e)) return true;
  for (const auto& [prefix, network] : joined_prefixes) {
    if (!take_prefix(key, prefix)) continue;
    e.network = network;
    e.layer = key;
    return !key.empty();
  }
  e.network = "unet";
  take_prefix(key, "base_model.model.");
  for (const auto& [prefix, network] : dotted_prefixes) {
    if (!take_prefix(key, prefix)) continue;
    e.network = network;
    break;
  }
  take_prefix(key, "base_model.model.");
  e.layer = key;
  // Older files name the attention's processor, and to_out without its number.
  replace_all(e.layer, ".processor", "");
  if (e.network != "unet") {
    rename_projections(e.layer);
  } else if (e.layer.ends_with(".to_out")) {
    e.layer += ".0";
  }
  return !e.layer.empty();
}

std::string joined_name(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

bool is_original_name(std::string_view layer) {
  return has_any(layer, {"input_blocks", "middle_block", "output_blocks"});
}

bool is_diffusers_name(std::string_view layer) {
  return has_any(layer, {"down_blocks", "mid_block", "up_blocks"});
}

}  // namespace lp::engine
