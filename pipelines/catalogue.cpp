// SPDX-License-Identifier: MIT
#include "pipelines/catalogue.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "pipelines/checkpoint_class.hpp"
#include "pipelines/checkpoint_words.hpp"
#include "pipelines/model_index.hpp"
#include "pipelines/weights/part_weights.hpp"
#include "runtime/base/log.hpp"

namespace lp::pipelines {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t deepest = 3;  // "owner/name" and a revision below it

// Collects the models below `folder`. `way` holds the folders that lead to it from the
// models folder, so that a link back up is not followed. A model's own sub-folders are its parts
// and are left alone.
void collect(const fs::path& folder, std::vector<fs::path>& way, std::vector<fs::path>& found) {
  std::error_code error;
  way.push_back(fs::canonical(folder, error));
  fs::directory_iterator entries(folder, error);
  if (error) log::warn("models", "{}: {}", folder.string(), error.message());
  for (const fs::directory_entry& entry : entries) {
    std::error_code ignored;  // a broken link is simply no folder
    if (entry.is_regular_file(ignored) && whole_checkpoint(entry.path())) {
      found.push_back(entry.path());
      continue;
    }
    if (!entry.is_directory(ignored)) continue;
    if (fs::is_regular_file(entry.path() / model_index_name, ignored)) {
      found.push_back(entry.path());
      continue;
    }
    const auto real = fs::canonical(entry.path(), ignored);
    const bool leads_back = std::find(way.begin(), way.end(), real) != way.end();
    if (way.size() < deepest && !leads_back) collect(entry.path(), way, found);
  }
  way.pop_back();
}

void offer_folder(const fs::path& root, const fs::path& folder, std::vector<catalogue_entry>& out) {
  if (const auto kind = model_class(folder); !kind) {
    log::warn("models", "left out: {}", kind.error().message);
    return;
  }
  std::error_code ignored;
  if (fs::is_regular_file(folder, ignored) && !tokenizer_of(folder)) {
    log::warn("models",
              "left out: {}: a checkpoint in one file needs CLIP's vocab.json and merges.txt in a "
              "folder \"tokenizer\" beside it or one above",
              folder.string());
    return;
  }
  bool taken = false;
  for (const description& d : all()) {
    if (!d.needs_model || !d.accepts || !d.accepts(folder)) continue;
    out.push_back({d.name, folder.lexically_relative(root).generic_string(), folder, false});
    taken = true;
  }
  if (!taken) log::info("models", "{}: no pipeline here runs this kind of model", folder.string());
}

void offer_hub_model(const fs::path& root, const std::string& id,
                     std::vector<catalogue_entry>& out) {
  const bool here =
      std::any_of(out.begin(), out.end(), [&](const auto& entry) { return entry.model == id; });
  if (here) return;
  for (const description& d : all()) {
    if (d.needs_model) out.push_back({d.name, id, root / id, false, root});
  }
}

// Marks what an empty model_id of that pipeline means.
result<void> choose_default(std::vector<catalogue_entry>& entries, const description& d,
                            const std::map<std::string, std::string>& defaults) {
  const auto named = defaults.find(d.name);
  for (catalogue_entry& entry : entries) {
    if (entry.pipeline != d.name) continue;
    if (named != defaults.end() && entry.model != named->second) continue;
    entry.is_default = true;
    return {};
  }
  if (named == defaults.end()) return {};
  return fail(ec::bad_config, fmt::format("the default model \"{}\" of {} is not among the models",
                                          named->second, d.name));
}

}  // namespace

result<std::vector<catalogue_entry>> scan_models(const fs::path& models_dir,
                                                 const std::map<std::string, std::string>& defaults,
                                                 const std::vector<std::string>& hub_models) {
  for (const auto& [pipeline, model] : defaults) {
    if (find(pipeline) != nullptr) continue;
    return fail(ec::bad_config,
                fmt::format("a default model for \"{}\": there is no such pipeline", pipeline));
  }
  std::vector<catalogue_entry> entries;
  for (const description& d : all()) {
    if (!d.needs_model) entries.push_back({d.name, d.name, {}, false});
  }
  if (!models_dir.empty()) {
    std::error_code error;
    if (!fs::is_directory(models_dir, error)) {
      return fail(ec::bad_config,
                  fmt::format("models folder \"{}\": not a folder", models_dir.string()));
    }
    std::vector<fs::path> folders;
    std::vector<fs::path> way;
    collect(models_dir, way, folders);
    for (const fs::path& folder : folders) offer_folder(models_dir, folder, entries);
    for (const std::string& id : hub_models) offer_hub_model(models_dir, id, entries);
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.pipeline, a.model) < std::tie(b.pipeline, b.model);
  });
  for (const description& d : all()) {
    if (auto ok = choose_default(entries, d, defaults); !ok) return fail(std::move(ok.error()));
  }
  return entries;
}

std::uint64_t weight_bytes(const std::filesystem::path& folder) {
  std::uint64_t sum = 0;
  std::error_code bad;
  if (fs::is_regular_file(folder, bad)) return fs::file_size(folder, bad);
  for (fs::directory_iterator it(folder, bad), end; !bad && it != end; it.increment(bad)) {
    for (const fs::path& file : weight_files(it->path())) {
      std::error_code ignored;
      const std::uintmax_t size = fs::file_size(file, ignored);
      if (!ignored) sum += size;
    }
  }
  return sum;
}

}  // namespace lp::pipelines
