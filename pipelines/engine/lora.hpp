// SPDX-License-Identifier: MIT
// Files of low-rank additions (LoRA, arXiv 2106.09685) in the layouts that are about: Diffusers
// ("unet.down_blocks...to_q.lora.down.weight", "...lora_A.weight",
// "...processor.to_q_lora.down..."), kohya-ss ("lora_unet_down_blocks_...lora_down.weight" with
// ".alpha"; SDXL also by the original block names), and cloneofsimo's numbered one ("unet:12:up").
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// One layer's addition.
struct lora_entry {
  std::string network;  ///< "unet", "text_encoder", "text_encoder_2"
  /// The layer: a Diffusers path "down_blocks.0.attentions.0..." or, where `joined`, the path with
  /// underscores for dots, as kohya files have it.
  std::string layer;
  bool joined = false;
  std::int64_t number = -1;  ///< numbered layout: the layer's place among those of its classes
  at::Tensor down;           ///< as in the file
  at::Tensor up;
  double scale = 1;  ///< alpha / rank
  std::string name;  ///< in the file, for messages
};

class lora_file {
 public:
  /// ec::bad_file names the file and the defect. Names of no known layout are kept for
  /// unmatched().
  static result<std::shared_ptr<const lora_file>> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<lora_entry>& entries() const { return entries_; }
  /// Names that say nothing of a layer.
  const std::vector<std::string>& unmatched() const { return unmatched_; }
  /// Numbered layout: whether the feed-forward parts' gates count among the UNet's layers.
  bool numbers_gates() const { return numbers_gates_; }

 private:
  std::filesystem::path path_;
  std::vector<lora_entry> entries_;
  std::vector<std::string> unmatched_;
  bool numbers_gates_ = true;
};

class clip_text;
class unet;

/// Adds to a network's layers what the file holds for it, times `strength`. The names that fit no
/// layer go to `unmatched`; ec::bad_file where a shape does not fit. The network must be a copy of
/// its own: layers are changed, though no tensor that it shares.
result<void> add_lora(unet& network, const lora_file& file, double strength,
                      std::vector<std::string>& unmatched);
/// `name`: "text_encoder" or "text_encoder_2".
result<void> add_lora(clip_text& network, const std::string& name, const lora_file& file,
                      double strength, std::vector<std::string>& unmatched);

/// The file of a name as requests give it: "style", "style.safetensors" or "owner/style", below a
/// folder "loras" in the model's, beside it or one above; a folder of that name stands for its
/// pytorch_lora_weights.safetensors. ec::invalid_parameters where there is none, or where the name
/// would lead elsewhere.
result<std::filesystem::path> find_lora(const std::filesystem::path& model,
                                        const std::string& name);

}  // namespace lp::engine
