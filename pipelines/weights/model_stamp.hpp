// SPDX-License-Identifier: MIT
// Whether the files of a model are still those that it was loaded from.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace lp::pipelines {

/// A file by its place on disk, size and time of change: equal as long as it holds the same. Empty,
/// which says nothing, where it cannot be looked at.
std::string place_of_file(const std::filesystem::path& file);

/// All files of a model's folder and of its parts' folders, or of a checkpoint in one file with
/// what lies beside it under the same name. Files of additions, which are looked at for each
/// request, are left out.
class model_stamp {
 public:
  model_stamp() = default;
  static model_stamp of(const std::filesystem::path& model);

  /// Whether a file is there that is another one than before. One that is away for now, as while it
  /// is replaced or a disk is gone, does not count. Costs a look at each file, some microseconds.
  bool is_outdated() const;

  /// Equal for equal files.
  std::string text() const;

 private:
  std::vector<std::pair<std::filesystem::path, std::string>> files_;
};

}  // namespace lp::pipelines
