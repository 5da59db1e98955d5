// SPDX-License-Identifier: MIT
// Files as torch.save() writes them since PyTorch 1.6 (.ckpt, .pth, .pt, .bin): a ZIP archive with
// a pickle that names tensors and one stored entry for each tensor's bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/weights/mapped_file.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// A tensor that lies in an archive, within it as far as it reaches.
struct archived_tensor {
  std::string dtype;        ///< safetensors' word: "F32"
  std::uint64_t width = 0;  ///< bytes an element
  std::uint64_t begin = 0;  ///< the byte of the file at which its storage begins
  std::int64_t offset = 0;  ///< elements into the storage
  std::int64_t reach = 0;   ///< elements from there that it spans
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> stride;
};

struct pickle_archive {
  std::shared_ptr<mapped_file> file;
  std::map<std::string, archived_tensor> tensors;  ///< by read_pickle()'s names
};

/// Reads the list of entries and the pickle alone; `ahead` as in mapped_file::open(). ec::bad_file
/// for other files, for what read_pickle() refuses and for tensors that do not lie in the file.
result<pickle_archive> open_pickle_archive(const std::filesystem::path& file, bool ahead);

}  // namespace lp::pipelines
