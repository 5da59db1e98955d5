// SPDX-License-Identifier: MIT
// Weights from a folder in the Diffusers layout.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/parameters.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

class autoencoder_kl;
class autoencoder_tiny;
class clip_text;
class clip_vision;
class unet;

/// A tensor that lies in a file, and how to get at it.
struct stored_tensor {
  std::string dtype;  ///< the file's word
  std::vector<std::int64_t> shape;
  std::function<result<at::Tensor>()> load;
};
using stored_tensors = std::map<std::string, stored_tensor>;

/// The tensors of a file: .safetensors, or .ckpt, .pth, .pt and .bin through a reader of pickles
/// that runs nothing (weights/pickle_archive.hpp).
/// `ahead`: the kernel is asked to read the whole file in the background.
result<stored_tensors> open_tensors(const std::filesystem::path& file, bool ahead = true);

/// The tensors of one component's folder ("unet", "vae", "text_encoder"): what find_weights() of
/// weights/part_weights.hpp chooses. ec::bad_file where there is nothing or where it is malformed.
result<stored_tensors> open_component(const std::filesystem::path& folder, bool ahead = true);

/// Work that was put off: each pair's second is still to be copied, and converted, into its first.
using put_off_copies = std::vector<std::pair<at::Tensor, at::Tensor>>;

/// A component's tensors as a network takes them. Those of the wanted dtype are views of the mapped
/// file; others are converted one by one.
class checkpoint : public parameters {
 public:
  /// Of open_component().
  static result<std::unique_ptr<checkpoint>> open(const std::filesystem::path& folder,
                                                  at::ScalarType dtype,
                                                  at::Device device = at::kCPU);

  /// Tensors from elsewhere, under the names that the network asks for; `what` opens messages.
  static std::unique_ptr<checkpoint> of(stored_tensors tensors, std::filesystem::path what,
                                        at::ScalarType dtype, at::Device device = at::kCPU);

  at::Tensor take(const std::string& name, at::IntArrayRef shape) override;
  bool has(const std::string& name) const override;

  /// After construction of the network: ec::bad_file with all missing and wrongly shaped tensors,
  /// if there are any, and beside them the unexpected ones, which may be the same under other
  /// names.
  result<void> finish() const;

  /// Tensors that the network did not ask for: it computes without them. Buffers that libraries
  /// save with a network and make anew are not among them.
  std::vector<std::string> unexpected() const;

  /// What opens its messages.
  const std::filesystem::path& what() const { return folder_; }

  /// Bytes of the tensors handed out, in the dtype handed out.
  std::uint64_t bytes() const { return bytes_; }

  /// From now on tensors of the CPU that want converting are handed out without their numbers.
  void put_conversions_off() { later_ = true; }
  /// What has to be done before such tensors are used.
  put_off_copies take_put_off() { return std::move(put_off_); }

 private:
  checkpoint(std::filesystem::path folder, at::ScalarType dtype, at::Device device);
  at::Tensor placeholder(at::IntArrayRef shape) const;

  std::filesystem::path folder_;
  at::ScalarType dtype_;
  at::Device device_;
  stored_tensors where_;
  std::set<std::string> taken_;
  std::vector<std::string> missing_;
  std::vector<std::string> wrong_;
  std::uint64_t bytes_ = 0;
  bool later_ = false;
  put_off_copies put_off_;
};

/// "unet: 2 tensors left out, which this kind of network does not have: a, b".
std::string left_out_note(std::string_view part, const std::vector<std::string>& names);

/// A component with its weights: config.json and the tensors beside it. `bytes`, where given,
/// receives the memory the weights hold. A UNet that is not packed computes the same, slower.
result<std::unique_ptr<unet>> load_unet(const std::filesystem::path& folder, at::ScalarType dtype,
                                        at::Device device = at::kCPU,
                                        std::uint64_t* bytes = nullptr, bool packed = true);
result<std::unique_ptr<autoencoder_kl>> load_autoencoder_kl(const std::filesystem::path& folder,
                                                            at::ScalarType dtype,
                                                            at::Device device = at::kCPU,
                                                            std::uint64_t* bytes = nullptr);
result<std::unique_ptr<autoencoder_tiny>> load_autoencoder_tiny(const std::filesystem::path& folder,
                                                                at::ScalarType dtype,
                                                                at::Device device = at::kCPU,
                                                                std::uint64_t* bytes = nullptr);
result<std::unique_ptr<clip_text>> load_clip_text(const std::filesystem::path& folder,
                                                  at::ScalarType dtype,
                                                  at::Device device = at::kCPU,
                                                  std::uint64_t* bytes = nullptr);
result<std::unique_ptr<clip_vision>> load_clip_vision(const std::filesystem::path& folder,
                                                      at::ScalarType dtype,
                                                      at::Device device = at::kCPU,
                                                      std::uint64_t* bytes = nullptr);

/// A network of that configuration with the tensors of `source`. Works for the networks above.
template <class Net, class Config>
result<std::unique_ptr<Net>> build_network(const Config& config, checkpoint& source,
                                           std::uint64_t* bytes = nullptr, bool packed = true);

}  // namespace lp::engine
