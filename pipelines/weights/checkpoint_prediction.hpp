// SPDX-License-Identifier: MIT
// What the network of a checkpoint in one file predicts. No such file has a place for it, so that
// it is read off what trainers leave behind; the file's name decides nothing. No torch.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// As a scheduler_config.json has it.
struct prediction {
  std::string type = "epsilon";    ///< or "v_prediction", "sample"
  bool zero_terminal_snr = false;  ///< trained down to no signal at all (arXiv 2305.08891)
  std::string told_by;             ///< "the tensor v_pred"; empty: nothing told it, it is assumed

  /// "predicts v_prediction with zero terminal SNR, by the tensor v_pred".
  std::string text() const;
};

/// The numbers of a small tensor; nothing where there is no such one.
using tensor_values = std::function<std::optional<std::vector<double>>(const std::string& name)>;

/// In this order: the owner's word ("prediction_type" and "zero_terminal_snr" of lp_model.json
/// beside the file, or of the .json of its name); tensors named "v_pred" and "ztsnr"; the metadata
/// "modelspec.prediction_type" and "modelspec.architecture"; a noise schedule among the tensors
/// that ends without signal; "scheduler" of the .json of its name; for SD 2.x how far the biases of
/// one norm spread, which is ComfyUI's rule. ec::bad_file for files that are trained for another
/// sampling altogether (EDM), and for a word that makes no sense.
///
/// `values` reads tensors; without it those of .safetensors files are read here, and others count
/// as absent.
result<prediction> prediction_of(const std::filesystem::path& file,
                                 const tensor_values& values = {});

/// What lp_model.json says of a model, be it a folder or a file; members it leaves out are empty.
struct prediction_override {
  std::optional<std::string> type;
  std::optional<bool> zero_terminal_snr;
};
result<prediction_override> read_prediction_override(const std::filesystem::path& model);

/// Where the lp_model.json of a model is: in its folder, or beside its file.
std::filesystem::path facts_file(const std::filesystem::path& model);

}  // namespace lp::pipelines
