// SPDX-License-Identifier: MIT
// Where a worker's models come from: a folder, or a hub first. No CAF.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "actors/model_pull.hpp"
#include "pipelines/catalogue.hpp"
#include "pipelines/device.hpp"
#include "pipelines/model.hpp"
#include "pipelines/weights/model_stamp.hpp"

namespace lp::actors {

/// Safe from any thread.
class model_source {
 public:
  model_source(std::vector<pipelines::catalogue_entry> entries, pipelines::device where)
      : where_(where), entries_(std::move(entries)) {}

  /// Other models are there now.
  void replace(std::vector<pipelines::catalogue_entry> entries);

  /// Pulls the model if it is a hub's and not here, and loads it. May take as long as that takes.
  result<std::shared_ptr<pipelines::model>> load(const std::string& id);

  /// Whether the files of a model that was loaded are others by now.
  bool is_outdated(const std::string& id) const;

  /// Bytes that loading the model is thought to take; 0 where it is not known yet.
  std::uint64_t estimate(const std::string& id) const;

  /// How far the model's download is, for a person; empty if none is under way.
  std::string progress(const std::string& id) const;

 private:
  std::optional<pipelines::catalogue_entry> find(const std::string& id) const;
  result<void> pull(const pipelines::catalogue_entry& entry);

  pipelines::device where_;
  mutable std::mutex mutex_;
  std::vector<pipelines::catalogue_entry> entries_;
  std::map<std::string, pull_state> under_way_;
  /// The files of the latest load.
  std::map<std::string, std::shared_ptr<const pipelines::model_stamp>> loaded_;
};

}  // namespace lp::actors
