// SPDX-License-Identifier: MIT
#include "pipelines/catalogue.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
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

constexpr std::size_t deepest = 3;           // "owner/name", or one folder more
constexpr std::size_t deepest_revision = 6;  // "owner/name@refs/pr/11"

using checkpoint_test = std::function<bool(const fs::path&)>;

// Collects the models below a folder.
class collector {
 public:
  explicit collector(const checkpoint_test& is_checkpoint) : is_checkpoint_(is_checkpoint) {}

  std::optional<std::vector<fs::path>> collect(const fs::path& root) {
    if (!enter(root, false)) return std::nullopt;
    return std::move(found_);
  }

 private:
  // A model's own sub-folders are its parts and are left alone, and so is a link that leads back.
  bool enter(const fs::path& folder, bool revision) {
    std::error_code error;
    way_.push_back(fs::canonical(folder, error));
    fs::directory_iterator entries(folder, error);
    if (error) log::warn("models", "{}: {}", folder.string(), error.message());
    const bool readable = !error;
    for (const fs::directory_iterator end; !error && entries != end; entries.increment(error)) {
      take(*entries, revision);
    }
    way_.pop_back();
    return readable;
  }

  void take(const fs::directory_entry& entry, bool revision) {
    std::error_code ignored;  // a broken link is simply no folder
    if (entry.is_regular_file(ignored) && is_checkpoint_(entry.path())) {
      found_.push_back(entry.path());
      return;
    }
    if (!entry.is_directory(ignored)) return;
    if (fs::is_regular_file(entry.path() / model_index_name, ignored)) {
      found_.push_back(entry.path());
      return;
    }
    const auto real = fs::canonical(entry.path(), ignored);
    if (std::find(way_.begin(), way_.end(), real) != way_.end()) return;
    revision = revision || entry.path().filename().string().find('@') != std::string::npos;
    if (way_.size() < (revision ? deepest_revision : deepest)) enter(entry.path(), revision);
  }

  const checkpoint_test& is_checkpoint_;
  std::vector<fs::path> way_;  ///< folders that lead to the present one
  std::vector<fs::path> found_;
};

// Less is plainer; nothing for what cannot be meant by a request that names no model.
std::optional<int> plainness(const catalogue_entry& e) {
  if (e.folder.empty()) return 0;
  constexpr std::string_view order[] = {"StableDiffusionPipeline",
                                        "StableDiffusionUpscalePipeline",
                                        "StableDiffusionXLPipeline",
                                        "StableDiffusionImg2ImgPipeline",
                                        "StableDiffusionXLImg2ImgPipeline",
                                        "LatentConsistencyModelPipeline",
                                        "LatentConsistencyModelImg2ImgPipeline",
                                        "StableDiffusionInstructPix2PixPipeline",
                                        "DiTPipeline"};
  if (e.class_name.find("Inpaint") != std::string::npos) return std::nullopt;
  const auto* const place = std::find(std::begin(order), std::end(order), e.class_name);
  return 1 + static_cast<int>(place - std::begin(order));
}

catalogue_entry* plainest(std::vector<catalogue_entry>& entries, const std::string& pipeline) {
  catalogue_entry* best = nullptr;
  std::optional<int> best_rank;
  for (catalogue_entry& entry : entries) {
    const auto rank = entry.pipeline == pipeline ? plainness(entry) : std::nullopt;
    if (!rank || (best_rank && *rank >= *best_rank)) continue;
    best = &entry;
    best_rank = rank;
  }
  return best;
}

}  // namespace

std::optional<std::vector<fs::path>> find_models(const fs::path& models_dir,
                                                 const checkpoint_test& is_checkpoint) {
  return collector(is_checkpoint).collect(models_dir);
}

std::vector<catalogue_entry> offers_of(const fs::path& models_dir, const fs::path& model) {
  std::vector<catalogue_entry> out;
  const auto kind = model_class(model);
  if (!kind) {
    log::warn("models", "left out: {}", kind.error().message);
    return out;
  }
  std::error_code ignored;
  if (fs::is_regular_file(model, ignored) && !tokenizer_of(model)) {
    log::warn("models",
              "left out: {}: a checkpoint in one file needs CLIP's vocab.json and merges.txt in a "
              "folder \"tokenizer\" beside it or one above",
              model.string());
    return out;
  }
  const std::string id = model.lexically_relative(models_dir).generic_string();
  for (const description& d : all()) {
    if (!d.needs_model || !d.accepts || !d.accepts(model)) continue;
    out.push_back({d.name, id, model, false, {}, *kind});
  }
  if (out.empty()) {
    log::info("models", "{}: no pipeline here runs this kind of model", model.string());
  }
  return out;
}

void add_built_in(std::vector<catalogue_entry>& entries) {
  for (const description& d : all()) {
    if (!d.needs_model) entries.push_back({d.name, d.name, {}, false});
  }
}

void add_hub_model(const fs::path& models_dir, const std::string& id,
                   std::vector<catalogue_entry>& entries) {
  for (const description& d : all()) {
    if (d.needs_model) entries.push_back({d.name, id, models_dir / id, false, models_dir});
  }
}

namespace {

catalogue_entry* named_in(std::vector<catalogue_entry>& entries, const std::string& pipeline,
                          const std::map<std::string, std::string>& names) {
  const auto named = names.find(pipeline);
  if (named == names.end()) return nullptr;
  const auto it = std::find_if(entries.begin(), entries.end(), [&](const auto& e) {
    return e.pipeline == pipeline && e.model == named->second;
  });
  return it == entries.end() ? nullptr : &*it;
}

}  // namespace

void choose_defaults(std::vector<catalogue_entry>& entries,
                     const std::map<std::string, std::string>& wished,
                     const std::map<std::string, std::string>& kept) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.pipeline, a.model) < std::tie(b.pipeline, b.model);
  });
  for (catalogue_entry& e : entries) e.is_default = false;
  for (const description& d : all()) {
    catalogue_entry* chosen = named_in(entries, d.name, wished);
    if (chosen == nullptr && wished.count(d.name) == 0) {
      chosen = named_in(entries, d.name, kept);
      if (chosen == nullptr) chosen = plainest(entries, d.name);
    }
    if (chosen != nullptr) chosen->is_default = true;
  }
}

result<std::vector<catalogue_entry>> scan_models(const fs::path& models_dir,
                                                 const std::map<std::string, std::string>& defaults,
                                                 const std::vector<std::string>& hub_models) {
  for (const auto& [pipeline, model] : defaults) {
    if (find(pipeline) != nullptr) continue;
    return fail(ec::bad_config,
                fmt::format("a default model for \"{}\": there is no such pipeline", pipeline));
  }
  std::vector<catalogue_entry> entries;
  add_built_in(entries);
  if (!models_dir.empty()) {
    std::error_code error;
    if (!fs::is_directory(models_dir, error)) {
      return fail(ec::bad_config,
                  fmt::format("models folder \"{}\": not a folder", models_dir.string()));
    }
    const auto found = find_models(models_dir, whole_checkpoint).value_or(std::vector<fs::path>{});
    for (const fs::path& model : found) {
      for (catalogue_entry& e : offers_of(models_dir, model)) entries.push_back(std::move(e));
    }
    for (const std::string& id : hub_models) {
      const bool here =
          std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.model == id; });
      if (!here) add_hub_model(models_dir, id, entries);
    }
  }
  choose_defaults(entries, defaults);
  for (const auto& [pipeline, model] : defaults) {
    const bool there = std::any_of(entries.begin(), entries.end(), [&](const auto& e) {
      return e.pipeline == pipeline && e.model == model;
    });
    if (!there) {
      return fail(ec::bad_config, fmt::format("the default model \"{}\" of {} is not among the "
                                              "models",
                                              model, pipeline));
    }
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
