// SPDX-License-Identifier: MIT
// What the names in files of additions mean, in the layouts that are about:
//   Diffusers      "unet.down_blocks...to_q.lora.down.weight", "...lora_A.weight" (PEFT),
//                  "...processor.to_q_lora.down.weight" (2023),
//                  "text_encoder_2...self_attn.to_q_lora.down.weight"
//   kohya-ss       "lora_unet_down_blocks_...lora_down.weight" with ".alpha", "lora_te2_...",
//                  SDXL also by the original names of the UNet's layers ("input_blocks_4_1_...")
//   LyCORIS        the same with "hada_w1_a", "lokr_w1", "lora_mid.weight", "diff", "dora_scale"
//   cloneofsimo    "unet:12:up"
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/engine/lora.hpp"
#include "pipelines/engine/nn.hpp"

namespace lp::engine {

/// A name taken apart.
struct lora_name {
  std::string key;  ///< the same for all tensors of a layer
  lora_role role;
  bool by_output = false;  ///< a magnitude of one entry an output, whatever its shape
};

/// Nothing for names of no known layout.
std::optional<lora_name> read_lora_name(std::string_view name);

/// Fills in which layer a key means; false for none.
bool place_lora(std::string_view key, lora_entry& entry);

/// "a.b.c" as "a_b_c".
std::string joined_name(std::string name);

/// Whether a layer is called by its original name rather than by Diffusers'.
bool is_original_name(std::string_view layer);
bool is_diffusers_name(std::string_view layer);

/// The layers of a network by all their names.
class lora_layers {
 public:
  /// `blocks`: the residual blocks a level of a UNet, 0 for text encoders. `with_gates`: see
  /// lora_file::numbers_gates().
  template <class Network>
  lora_layers(Network& network, int blocks, bool with_gates) : unet_(blocks > 0) {
    network.visit({[&](nn::linear& l) {
                     linears_[l.name] = &l;
                     note(l.name);
                     if (counts(l.name, with_gates)) numbered_.push_back(l.name);
                   },
                   [&](nn::conv2d& c) {
                     convs_[c.name] = &c;
                     note(c.name);
                   }});
    order_as_numbered();
    if (unet_) add_original_names(blocks);
  }

  /// The layer that is meant: at most one of both.
  nn::linear* linear(const lora_entry& e) const;
  nn::conv2d* conv(const lora_entry& e) const;

 private:
  void note(const std::string& name);
  bool counts(const std::string& name, bool with_gates) const;
  void order_as_numbered();
  void add_original_names(int blocks);
  std::string name_of(const lora_entry& e) const;

  bool unet_;
  std::map<std::string, nn::linear*> linears_;
  std::map<std::string, nn::conv2d*> convs_;
  std::map<std::string, std::string> joined_;  ///< the layer of a name with underscores for dots
  std::vector<std::string> numbered_;          ///< linear layers as the numbered layout counts them
};

}  // namespace lp::engine
