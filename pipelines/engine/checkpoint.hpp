// SPDX-License-Identifier: MIT
// Weights from a folder of safetensors files in the Diffusers layout.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/parameters.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

class autoencoder_kl;
class clip_text;
class safetensors_file;
class unet;

/// The tensors of one component's folder ("unet", "vae", "text_encoder"): a single file, the
/// ".fp16." variant, or shards listed by an index.json. Tensors of the wanted dtype are views of
/// the mapped file; others are converted one by one.
class checkpoint : public parameters {
 public:
  /// ec::bad_file where there is no safetensors file (and says so where there is only a pickle), or
  /// where one is malformed.
  static result<std::unique_ptr<checkpoint>> open(const std::filesystem::path& folder,
                                                  at::ScalarType dtype,
                                                  at::Device device = at::kCPU);

  at::Tensor take(const std::string& name, at::IntArrayRef shape) override;
  bool has(const std::string& name) const override;

  /// After construction of the network: ec::bad_file with all missing, wrongly shaped and
  /// unexpected tensors, if there are any. A stray position_ids is let pass.
  result<void> finish() const;

  /// Bytes of the tensors handed out, in the dtype handed out.
  std::uint64_t bytes() const { return bytes_; }

 private:
  checkpoint(std::filesystem::path folder, at::ScalarType dtype, at::Device device);
  result<void> add_file(const std::filesystem::path& file);
  result<void> add_shards(const std::filesystem::path& index);
  at::Tensor placeholder(at::IntArrayRef shape) const;

  std::filesystem::path folder_;
  at::ScalarType dtype_;
  at::Device device_;
  std::map<std::string, std::shared_ptr<safetensors_file>> where_;
  std::set<std::string> taken_;
  std::vector<std::string> missing_;
  std::vector<std::string> wrong_;
  std::uint64_t bytes_ = 0;
};

/// A component with its weights: config.json and the tensors beside it. `bytes`, where given,
/// receives the memory the weights hold.
result<std::unique_ptr<unet>> load_unet(const std::filesystem::path& folder, at::ScalarType dtype,
                                        at::Device device = at::kCPU,
                                        std::uint64_t* bytes = nullptr);
result<std::unique_ptr<autoencoder_kl>> load_autoencoder_kl(const std::filesystem::path& folder,
                                                            at::ScalarType dtype,
                                                            at::Device device = at::kCPU,
                                                            std::uint64_t* bytes = nullptr);
result<std::unique_ptr<clip_text>> load_clip_text(const std::filesystem::path& folder,
                                                  at::ScalarType dtype,
                                                  at::Device device = at::kCPU,
                                                  std::uint64_t* bytes = nullptr);

}  // namespace lp::engine
