// SPDX-License-Identifier: MIT
// UNet2DConditionModel of the Stable Diffusion family, driven by its config.json.
#pragma once

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/nn.hpp"
#include "pipelines/engine/resnet.hpp"
#include "pipelines/engine/transformer.hpp"
#include "pipelines/engine/unet_config.hpp"

namespace lp::engine {

struct unet_input {
  at::Tensor sample{};                 ///< [N, in_channels, h, w]
  at::Tensor timestep{};               ///< a scalar, [1] or [N]; int64 or floating
  at::Tensor encoder_hidden_states{};  ///< [N, tokens, cross_attention_dim]
  at::Tensor timestep_cond{};          ///< LCM: [N, time_cond_proj_dim]; may be undefined
  at::Tensor class_labels{};           ///< [N], for configurations with class embeddings
  at::Tensor text_embeds{};            ///< SDXL: [N, pooled width]
  at::Tensor time_ids{};               ///< SDXL: [N, 6]

  /// All of them in this order, and back.
  std::vector<at::Tensor> tensors() const;
  static unet_input of(const std::vector<at::Tensor>& tensors);
};

class unet {
 public:
  unet(const unet_config& config, const scope& at);

  /// Output [N, out_channels, h, w] in the sample's dtype; inside, the weights' dtype is used.
  /// Throws c10::Error where shapes do not fit the configuration.
  at::Tensor operator()(const unet_input& in) const;

  /// Rearranges weights that will not change any more for faster calls (nn::conv2d::pack).
  void pack();

  /// Shows every linear layer and convolution, in the order in which the network has them. A copy
  /// of a network shares its tensors: layers of the copy may get adapters of their own.
  void visit(const nn::layer_visitor& visitor);

  const unet_config& config() const { return config_; }
  at::ScalarType dtype() const { return conv_in_.weight.scalar_type(); }

 private:
  /// One resolution, on the way down or up.
  struct level {
    std::vector<resnet_block> resnets;
    std::vector<spatial_transformer> attentions;  ///< as many as resnets, or none
    std::optional<downsample> down;
    std::optional<upsample> up;

    void visit(const nn::layer_visitor& visitor);
  };
  /// The embeddings that condition every residual block.
  struct embeddings {
    embeddings(const unet_config& config, const scope& at);
    at::Tensor operator()(const unet_config& config, const unet_input& in) const;
    at::Tensor of_class(const unet_config& config, const at::Tensor& labels) const;
    at::Tensor of_text_time(const unet_config& config, const unet_input& in) const;

    nn::linear time1, time2;
    std::optional<nn::linear> time_cond;
    std::optional<nn::embedding> class_table;
    std::optional<nn::linear> class1, class2;
    std::optional<nn::linear> add1, add2;
  };

  void build_down(const scope& at);
  void build_mid(const scope& at);
  void build_up(const scope& at);
  at::Tensor run_down(at::Tensor x, const at::Tensor& time, const at::Tensor& text,
                      std::vector<at::Tensor>& skips) const;
  at::Tensor run_up(at::Tensor x, const at::Tensor& time, const at::Tensor& text,
                    std::vector<at::Tensor>& skips) const;

  unet_config config_;
  embeddings embeddings_;
  nn::conv2d conv_in_;
  std::vector<level> down_;
  std::optional<level> mid_;
  std::vector<level> up_;
  nn::group_norm norm_out_;
  nn::conv2d conv_out_;
};

}  // namespace lp::engine
