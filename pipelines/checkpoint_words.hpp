// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <optional>

namespace lp::pipelines {

/// The folder with the words of a checkpoint's tokenizer, which a single file lacks: "tokenizer"
/// with CLIP's vocab.json beside the file or one folder above. In a header, since both halves of
/// the pipelines ask it.
inline std::optional<std::filesystem::path> tokenizer_of(const std::filesystem::path& checkpoint) {
  std::error_code ignored;
  const auto real = std::filesystem::absolute(checkpoint, ignored);
  for (const auto& folder : {real.parent_path(), real.parent_path().parent_path()}) {
    auto words = folder / "tokenizer";
    if (std::filesystem::is_regular_file(words / "vocab.json", ignored)) return words;
  }
  return std::nullopt;
}

}  // namespace lp::pipelines
