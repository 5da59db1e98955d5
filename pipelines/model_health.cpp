// SPDX-License-Identifier: MIT
#include "pipelines/model_health.hpp"

#include <fstream>
#include <iterator>

#include "pipelines/checkpoint_class.hpp"
#include "pipelines/checkpoint_words.hpp"
#include "pipelines/model_files.hpp"
#include "pipelines/model_index.hpp"
#include "pipelines/weights/weights_summary.hpp"

namespace lp::pipelines {

namespace fs = std::filesystem;

namespace {

// A message that may name files, with their paths from the model's own place on.
std::string from_here(std::string text, const fs::path& model) {
  if (!model.has_parent_path()) return text;
  const std::string root = model.parent_path().string() + "/";
  for (auto at = text.find(root); at != std::string::npos; at = text.find(root, at)) {
    text.erase(at, root.size());
  }
  return text;
}

void look_at_folder(const fs::path& folder, std::vector<std::string>& out) {
  std::ifstream in(folder / model_index_name, std::ios::binary);
  const std::string index{std::istreambuf_iterator<char>(in), {}};
  const auto parts = parts_of_index(index);
  if (!parts) return out.push_back(parts.error().message);
  out = missing_parts(folder);
  for (const model_part& p : *parts) {
    if (!p.has_weights()) continue;
    const auto weights = summarise_folder(folder / p.name);
    if (!weights) out.push_back(from_here(weights.error().message, folder));
  }
}

}  // namespace

std::vector<std::string> lacks_of(const fs::path& model) {
  std::vector<std::string> out;
  if (const auto kind = model_class(model); !kind) return {from_here(kind.error().message, model)};
  std::error_code ignored;
  if (!fs::is_regular_file(model, ignored)) {
    look_at_folder(model, out);
    return out;
  }
  const auto parts = checkpoint_parts(model);
  if (!parts) out.push_back(from_here(parts.error().message, model));
  if (!tokenizer_of(model)) {
    out.emplace_back("CLIP's vocab.json and merges.txt in a folder \"tokenizer\" beside it");
  }
  return out;
}

}  // namespace lp::pipelines
