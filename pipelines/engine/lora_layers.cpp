// SPDX-License-Identifier: MIT
// A network's layers by the names that files of additions call them.
#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>

#include <fmt/format.h>

#include "pipelines/engine/lora_names.hpp"
#include "pipelines/engine/single_file.hpp"

namespace lp::engine {

namespace {

/// Blocks on one way of the original UNets; more than any has.
constexpr int most_blocks = 32;

/// Layers by the names of the original code that stand alone, and those of its residual blocks.
constexpr std::array<std::string_view, 6> lone_layers = {
    "input_blocks.0.0", "time_embed.0", "time_embed.2", "label_emb.0.0", "label_emb.0.2", "out.2"};
constexpr std::array<std::string_view, 4> residual_layers = {"in_layers.2", "emb_layers.1",
                                                             "out_layers.3", "skip_connection"};

/// By the place in a list of the first mark that the name holds.
std::size_t among(std::string_view name, std::initializer_list<std::string_view> marks) {
  std::size_t i = 0;
  for (const auto mark : marks) {
    if (name.find(mark) != name.npos) break;
    ++i;
  }
  return i;
}

}  // namespace

void lora_layers::note(const std::string& name) {
  joined_[joined_name(name)] = name;
  if (unet_) return;
  // Text encoders come with and without this level.
  constexpr std::string_view level = "text_model.";
  joined_[joined_name(name.starts_with(level) ? name.substr(level.size())
                                              : std::string(level) + name)] = name;
}

bool lora_layers::counts(const std::string& name, bool with_gates) const {
  if (!unet_) return name.find(".self_attn.") != name.npos;
  return name.find(".attn") != name.npos || (with_gates && name.find(".ff.net.0.") != name.npos);
}

/// The order of the modules in the libraries of early 2023: the middle last, the gate between the
/// two attentions, and in text encoders key and value before the query.
void lora_layers::order_as_numbered() {
  struct turn {
    std::size_t side = 0, block = 0, part = 0;
    auto operator<=>(const turn&) const = default;
  };
  std::map<std::string, std::size_t> blocks;
  std::vector<std::pair<turn, std::string>> placed;
  for (const auto& name : numbered_) {
    const auto end =
        unet_ ? name.find('.', name.find("transformer_blocks.") + 19) : name.find(".self_attn.");
    const auto block = blocks.emplace(name.substr(0, end), blocks.size()).first->second;
    turn p{0, block, 0};
    if (unet_) {
      p.side = among(name, {"down_blocks.", "up_blocks.", "mid_block."});
      p.part = among(name, {".attn1.", ".ff.", ".attn2."});
    } else {
      p.part = among(name, {".k_proj", ".v_proj", ".q_proj", ".out_proj"});
    }
    placed.emplace_back(p, name);
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < placed.size(); ++i) numbered_[i] = placed[i].second;
}

/// "input_blocks_4_1_transformer_blocks_0...", "middle_block_0_in_layers_2", "out_2".
void lora_layers::add_original_names(int blocks) {
  constexpr std::string_view weight = ".weight";
  const auto known_as = [&](std::string_view original) {
    auto name = diffusers_unet_name(std::string(original) + std::string(weight), blocks);
    if (name.size() > weight.size()) name.resize(name.size() - weight.size());
    return name;
  };
  const auto add = [&](const std::string& original) {
    const auto name = known_as(original);
    if (linears_.contains(name) || convs_.contains(name)) joined_[joined_name(original)] = name;
  };
  std::vector<std::string> names;
  for (const auto& [name, layer] : linears_) names.push_back(name);
  for (const auto& [name, layer] : convs_) names.push_back(name);
  const auto add_block = [&](const std::string& block) {
    for (const auto layer : residual_layers) add(fmt::format("{}.0.{}", block, layer));
    add(block + ".0.op");
    add(block + ".1.conv");
    add(block + ".2.conv");
    // All that is in an attention goes by one name on both sides.
    const auto inside = known_as(block + ".1.x");
    if (inside.empty()) return;
    const auto prefix = inside.substr(0, inside.size() - 1);
    for (const auto& name : names) {
      if (name.starts_with(prefix))
        joined_[joined_name(block + ".1." + name.substr(prefix.size()))] = name;
    }
  };
  for (const auto layer : lone_layers) add(std::string(layer));
  for (int i = 0; i < most_blocks; ++i) {
    add_block(fmt::format("input_blocks.{}", i));
    add_block(fmt::format("output_blocks.{}", i));
  }
  add_block("middle_block");
  for (const auto layer : residual_layers) add(fmt::format("middle_block.2.{}", layer));
}

std::string lora_layers::name_of(const lora_entry& e) const {
  if (e.number >= 0) {
    const auto n = static_cast<std::size_t>(e.number);
    return n < numbered_.size() ? numbered_[n] : std::string();
  }
  const auto found = joined_.find(joined_name(e.layer));
  return found == joined_.end() ? std::string() : found->second;
}

nn::linear* lora_layers::linear(const lora_entry& e) const {
  const auto found = linears_.find(name_of(e));
  return found == linears_.end() ? nullptr : found->second;
}

nn::conv2d* lora_layers::conv(const lora_entry& e) const {
  const auto found = convs_.find(name_of(e));
  return found == convs_.end() ? nullptr : found->second;
}

}  // namespace lp::engine
