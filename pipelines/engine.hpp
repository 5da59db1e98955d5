// SPDX-License-Identifier: MIT
// The seam to the torch half. lp_pipelines and everything above it links no torch (its loading
// takes half a second); liblp_engine.so is opened on first use by those who compute.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/device.hpp"
#include "pipelines/media/decode.hpp"
#include "pipelines/model.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

class safety_classifier;

/// A compute device that was found.
struct device_info {
  std::string id;    ///< "cpu", "cuda:0"
  std::string name;  ///< "NVIDIA H200", "AMD EPYC (2 cores)"
  std::uint64_t memory_bytes = 0;
  std::string detail;  ///< compute capability, driver, vector extensions
};

/// What the torch half offers. One object a process, living to its end.
class engine {
 public:
  virtual ~engine() = default;

  /// "libtorch 1.13.1, OpenBLAS (openmp), CUDA: none".
  virtual std::string version() const = 0;

  /// Devices that jobs could run on, the CPU first.
  virtual std::vector<device_info> devices() = 0;

  /// Sets the thread count and checks that the device can be used: ec::bad_config says why not
  /// (no such GPU, or a libtorch without CUDA). `warnings` receives what an operator should mend,
  /// such as a reference BLAS.
  virtual result<device_info> open_device(const device& where,
                                          std::vector<std::string>& warnings) = 0;

  /// No more than so many bytes of tensors on the CPU from now on, in the whole process: a job that
  /// would take more fails with ec::out_of_memory, and nothing else does. 0: no limit. Weights that
  /// are used as they lie in their files do not count.
  virtual void limit_memory(std::uint64_t /*bytes*/) {}

  /// Loads a diffusion model that makes pictures: a Diffusers folder of a class that
  /// image_tasks() (model_index.hpp) knows, or a checkpoint file in the original naming. Folders
  /// loaded twice on one device share their weights.
  ///
  /// What a run does follows from its pictures: none draws from the prompt; "image" starts from
  /// that picture; "mask_image" with it repaints where the mask is white; upscalers and editing
  /// models need "image". Parameters it heeds where they are there, beside those of text-to-image
  /// (all optional): strength, image_guidance_scale, noise_level, prompt_2, negative_prompt_2,
  /// scheduler (a class name or a short one such as "euler_a"), guidance_rescale, clip_skip, eta,
  /// loras (a JSON object from file name to strength, as a string).
  virtual result<std::shared_ptr<model>> load_image_model(const std::filesystem::path& folder,
                                                          const device& where) = 0;

  /// The safety checker of Stable Diffusion's folders: config.json, weights, and the sizes of
  /// pictures in a preprocessor_config.json in it or in "feature_extractor" beside it. It computes
  /// on the CPU. ec::bad_file names the file and what is wrong with it.
  virtual result<std::shared_ptr<safety_classifier>> open_safety_checker(
      const std::filesystem::path& folder, const device& /*where*/) {
    return fail(ec::bad_config, folder.string() + ": this engine cannot look at pictures");
  }

  /// A picture's file by decode_image() or decode_mask() (pipelines/media/decode.hpp), with 3 or 1
  /// channels; `field` stays empty.
  virtual result<picture> decode_picture(std::string_view file, picture_form form,
                                         const decode_limits& limits) = 0;

  /// Writes the tensors of a file to a .safetensors file, floating-point ones as `dtype`:
  /// "fp32", "fp16" or "bf16".
  virtual result<void> convert_weights(const std::filesystem::path& from,
                                       const std::filesystem::path& to, std::string_view dtype) = 0;

  /// Makes a Diffusers folder of a checkpoint file in the original naming, weights as `dtype`. The
  /// tokenizer's words come from a folder "tokenizer" beside the file or one above. What was
  /// written stays where it fails.
  virtual result<void> unpack_checkpoint(const std::filesystem::path& file,
                                         const std::filesystem::path& folder,
                                         std::string_view dtype) = 0;
};

/// The torch half, opened by the first call (about half a second), from any thread; ec::internal
/// with the dynamic loader's words if liblp_engine.so lies neither beside the program nor where the
/// loader looks.
result<engine*> get_engine();

/// Opens an engine from that file: a shared library with
/// `extern "C" lp::pipelines::engine* lp_engine_instance()`. What get_engine() does once.
result<engine*> open_engine(const std::filesystem::path& library);

}  // namespace lp::pipelines
