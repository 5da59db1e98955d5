// SPDX-License-Identifier: MIT
// Models that come and go while a node runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/catalogue.hpp"

namespace lp::pipelines {

/// Where models are looked for, as scan_models() takes it.
struct model_places {
  std::filesystem::path folder;
  std::map<std::string, std::string> defaults;
  std::vector<std::string> hub_models;
};

/// A model that is there and cannot be offered yet.
struct coming_model {
  std::string model;  ///< its id
  std::string why;    ///< for a person
  bool operator==(const coming_model&) const = default;
};

struct catalogue_view {
  std::vector<catalogue_entry> entries;
  std::vector<coming_model> coming;
};

/// What is offered changes by looks at the folder. A model that appears is offered at the second
/// look that finds it unchanged and without lacks_of(), so that one that is being copied is not. A
/// model that is offered stays so until its model_index.json, or its file, is gone at two looks:
/// what is wrong with it otherwise is told when it is loaded. Defaults stay as long as they are
/// there. A folder that cannot be read changes nothing. Not thread-safe.
class model_watch {
 public:
  /// `known`: what scan_models() found there.
  model_watch(model_places places, std::vector<catalogue_entry> known);

  /// Looks once; what there is now if that differs from before. Takes a stat a file for models that
  /// are not offered, and reads the small ones of those that look whole.
  std::optional<catalogue_view> look();

  const catalogue_view& view() const { return view_; }

 private:
  struct sighting {
    std::string stamp;  ///< names, sizes and times of its files
    std::string why;    ///< it is not offered
  };
  struct offered {
    std::vector<catalogue_entry> entries;
    int missed = 0;  ///< looks that did not find it
  };
  using checkpoint_key = std::pair<std::uintmax_t, std::int64_t>;  ///< size and time of change

  bool is_checkpoint(const std::filesystem::path& file);
  void see(const std::string& id, const std::filesystem::path& model,
           std::map<std::string, sighting>& now);
  catalogue_view assemble() const;

  model_places places_;
  catalogue_view view_;
  std::map<std::string, offered> offered_;   ///< by id
  std::map<std::string, sighting> sighted_;  ///< by id, at the look before
  std::map<std::filesystem::path, std::pair<checkpoint_key, bool>> checkpoints_;
};

}  // namespace lp::pipelines
