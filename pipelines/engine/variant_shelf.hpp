// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/engine/lora.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "runtime/base/error.hpp"

namespace lp::engine {

/// Variants of a pipeline with LoRA files, the latest used first. A file that was replaced on disk
/// is another one. Safe from any thread.
class variant_shelf {
 public:
  using pipeline = std::shared_ptr<const stable_diffusion>;
  using strengths = std::map<std::string, double>;  ///< by the file's name

  /// Files are looked for as find_lora() does for that model.
  variant_shelf(std::filesystem::path model, pipeline base)
      : model_(std::move(model)), base_(std::move(base)) {}

  /// What a request with such files will take.
  struct foresight {
    pipeline of;                                           ///< its variant, or what it is made from
    std::vector<std::shared_ptr<const lora_file>> more{};  ///< files that are still to be added
    std::uint64_t others = 0;                              ///< bytes of the variants kept by now

    std::uint64_t peak(const drawing_request& r) const {
      return others + of->memory_for(r, more).peak;
    }
  };
  /// A file that is not there or cannot be added is ec::invalid_parameters of "loras" with its name
  /// as asked for.
  result<foresight> foresee(const strengths& loras) const;

  /// Makes it if it is not there. What the user should know goes to `notes`. Errors as foresee().
  result<pipeline> get(const strengths& loras, std::vector<std::string>& notes);

  /// Of all variants, on top of the pipeline's own.
  std::uint64_t kept_bytes() const;

 private:
  struct chosen {
    double strength = 1;
    std::filesystem::path path;
    std::string place;  ///< place_of_file()
    bool operator==(const chosen&) const = default;
  };
  using choice = std::map<std::string, chosen>;  ///< by the file's name
  struct variant {
    choice loras;
    pipeline made;
    std::vector<std::string> notes;
  };
  using opened_files = std::vector<std::pair<std::shared_ptr<const lora_file>, double>>;

  result<choice> choose(const strengths& loras) const;
  static result<opened_files> open(const choice& loras);
  result<variant> make(const choice& loras) const;

  std::filesystem::path model_;
  pipeline base_;
  mutable std::mutex guard_;
  std::vector<variant> kept_;
};

}  // namespace lp::engine
