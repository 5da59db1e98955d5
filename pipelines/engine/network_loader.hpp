// SPDX-License-Identifier: MIT
// Networks into a pipeline's parts, from folders and from checkpoints in one file alike.
#pragma once

#include <c10/core/ScalarType.h>

#include "pipelines/engine/component.hpp"
#include "pipelines/engine/part.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// Networks that other pipelines hold already are shared. What is loaded is counted in the parts'
/// bytes.
class network_loader {
 public:
  network_loader(stable_diffusion::parts& into, const stable_diffusion_options& options)
      : parts_(into), options_(options) {}

  /// A text encoder or an autoencoder; with low_memory it is there only while it is used.
  template <class Network>
  result<void> add(part<Network>& into, component from,
                   const typename part<Network>::config_type& config, at::ScalarType dtype) const;

  /// The UNet. Its weights are converted and put in order on a thread of their own, see
  /// stable_diffusion::parts::packing.
  result<void> add_unet(component from, const unet_config& config, at::ScalarType dtype) const;

 private:
  std::string setting(at::ScalarType dtype) const;

  stable_diffusion::parts& parts_;
  const stable_diffusion_options& options_;
};

}  // namespace lp::engine
