// SPDX-License-Identifier: MIT
// Files of additions to a model's layers in the layouts that are about (lora_names.hpp): low-rank
// ones (LoRA, arXiv 2106.09685; for convolutions LoCon, also in Tucker form), their products and
// Kronecker products (LoHa, arXiv 2108.06098; LoKr, arXiv 2309.14859), whole differences, and
// weights that are brought to a magnitude afterwards (DoRA, arXiv 2402.09353).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "runtime/base/error.hpp"

namespace lp::engine {

/// What a tensor is to its layer's addition; lora_delta.hpp says what is computed of them.
enum class lora_role {
  down,
  up,
  mid,      ///< Tucker form of a convolution: [rank, rank, kernel, kernel]
  up_bias,  ///< added to the layer's bias, scaled as the rest
  alpha,
  scalar,     ///< one more factor
  magnitude,  ///< DoRA; one dimension means an entry an output
  difference,
  bias_difference,
  product_1a,  ///< LoHa: "hada_w1_a" and so on
  product_1b,
  product_2a,
  product_2b,
  product_t1,
  product_t2,
  kron_1,  ///< LoKr: "lokr_w1" and so on
  kron_1a,
  kron_1b,
  kron_2,
  kron_2a,
  kron_2b,
  kron_t2,
};

/// One layer's addition.
struct lora_entry {
  std::string network;  ///< "unet", "text_encoder", "text_encoder_2"
  /// The layer: a Diffusers path "down_blocks.0.attentions.0...", or one that equals it, or the
  /// original name of the layer, with underscores for dots.
  std::string layer;
  std::int64_t number = -1;  ///< numbered layout: the layer's place among those of its classes
  std::map<lora_role, at::Tensor> tensors;  ///< as in the file
  double scale = 1;                         ///< alpha / rank
  std::string name;                         ///< in the file, for messages

  bool has(lora_role role) const { return tensors.contains(role); }
  /// Undefined where there is none.
  at::Tensor at(lora_role role) const {
    const auto found = tensors.find(role);
    return found == tensors.end() ? at::Tensor() : found->second;
  }
};

class lora_file {
 public:
  /// ec::bad_file names the file and the defect. Names of no known layout are kept for
  /// unmatched().
  ///
  /// Where the file has no alphas of its own those that PEFT notes count: in "__metadata__" under
  /// "lora_adapter_metadata", or for adapter_model.safetensors in adapter_config.json beside it.
  static result<std::shared_ptr<const lora_file>> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<lora_entry>& entries() const { return entries_; }
  /// Names that say nothing of a layer.
  const std::vector<std::string>& unmatched() const { return unmatched_; }
  /// Numbered layout: whether the feed-forward parts' gates count among the UNet's layers.
  bool numbers_gates() const { return numbers_gates_; }

  /// Whether it has something for the network of that name.
  bool concerns(std::string_view network) const;

 private:
  std::filesystem::path path_;
  std::vector<lora_entry> entries_;
  std::vector<std::string> unmatched_;
  bool numbers_gates_ = true;
};

class clip_text;
class unet;

/// Adds to a network's layers what the file holds for it, times `strength`. The names that fit no
/// layer go to `unmatched`; ec::bad_file where a shape does not fit or a number is not finite. The
/// network must be a copy of its own: layers are changed, though no tensor that it shares.
result<void> add_lora(unet& network, const lora_file& file, double strength,
                      std::vector<std::string>& unmatched);
/// `name`: "text_encoder" or "text_encoder_2".
result<void> add_lora(clip_text& network, const std::string& name, const lora_file& file,
                      double strength, std::vector<std::string>& unmatched);

/// The file of a name as requests give it: "style", "style.safetensors" or "owner/style", below a
/// folder "loras" in the model's, beside it or one above; a folder of that name stands for its
/// pytorch_lora_weights.safetensors or adapter_model.safetensors. ec::invalid_parameters where
/// there is none, or where the name would lead elsewhere.
result<std::filesystem::path> find_lora(const std::filesystem::path& model,
                                        const std::string& name);

}  // namespace lp::engine
