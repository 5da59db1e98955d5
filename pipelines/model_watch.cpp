// SPDX-License-Identifier: MIT
#include "pipelines/model_watch.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/checkpoint_class.hpp"
#include "pipelines/checkpoint_words.hpp"
#include "pipelines/model_health.hpp"
#include "runtime/base/log.hpp"

namespace lp::pipelines {

namespace fs = std::filesystem;

namespace {

constexpr int patience = 2;               // looks that may miss a model before it is gone
constexpr std::size_t most_files = 4096;  // of one model
constexpr std::size_t most_coming = 32;   // that are told of

void add_file(const fs::directory_entry& file, std::string& out) {
  std::error_code error;
  const auto size = file.file_size(error);
  const auto time = file.last_write_time(error).time_since_epoch().count();
  out += fmt::format("{} {} {}\n", file.path().string(), error ? 0 : size, error ? 0 : time);
}

std::string stamp_of(const fs::path& model) {
  std::string out;
  std::error_code error;
  if (fs::is_regular_file(model, error)) {
    add_file(fs::directory_entry(model, error), out);
    if (const auto words = tokenizer_of(model)) out += words->string();
    return out;
  }
  std::vector<std::string> lines;
  for (fs::recursive_directory_iterator it(model, error), end;
       !error && it != end && lines.size() < most_files; it.increment(error)) {
    std::string line;
    std::error_code ignored;
    if (it->is_regular_file(ignored)) add_file(*it, line);
    lines.push_back(std::move(line));
  }
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) out += line;
  return out;
}

bool same(const catalogue_entry& a, const catalogue_entry& b) {
  return a.pipeline == b.pipeline && a.model == b.model && a.is_default == b.is_default &&
         a.folder == b.folder && a.pull_into == b.pull_into;
}

bool same(const catalogue_view& a, const catalogue_view& b) {
  return a.coming == b.coming &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                    [](const auto& x, const auto& y) { return same(x, y); });
}

}  // namespace

model_watch::model_watch(model_places places, std::vector<catalogue_entry> known)
    : places_(std::move(places)), view_{std::move(known), {}} {
  for (const catalogue_entry& e : view_.entries) {
    if (!e.folder.empty() && e.pull_into.empty()) offered_[e.model].entries.push_back(e);
  }
}

// Asked of every file at every look: headers are read once.
bool model_watch::is_checkpoint(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  const auto time = fs::last_write_time(file, error).time_since_epoch().count();
  const checkpoint_key key{size, static_cast<std::int64_t>(time)};
  const auto it = checkpoints_.find(file);
  if (it != checkpoints_.end() && it->second.first == key) return it->second.second;
  const bool is = whole_checkpoint(file);
  checkpoints_[file] = {key, is};
  return is;
}

// A model that is not offered yet.
void model_watch::see(const std::string& id, const fs::path& model,
                      std::map<std::string, sighting>& now) {
  sighting seen{stamp_of(model), "it is still changing"};
  const auto before = sighted_.find(id);
  if (before != sighted_.end() && before->second.stamp == seen.stamp) {
    const bool judged = before->second.why != seen.why;
    if (judged) {
      seen.why = before->second.why;
    } else if (const auto lacks = lacks_of(model); !lacks.empty()) {
      seen.why = fmt::format("{}", fmt::join(lacks, "; "));
      log::warn("models", "{} is not offered: {}", id, seen.why);
    } else {
      auto entries = offers_of(places_.folder, model);
      if (!entries.empty()) {
        log::info("models", "{} is offered from now on", id);
        offered_[id].entries = std::move(entries);
        return;
      }
      seen.why = "no pipeline here runs this kind of model";
    }
  }
  now[id] = std::move(seen);
}

catalogue_view model_watch::assemble() const {
  catalogue_view out;
  for (const auto& [id, model] : offered_) {
    out.entries.insert(out.entries.end(), model.entries.begin(), model.entries.end());
  }
  add_built_in(out.entries);
  for (const std::string& id : places_.hub_models) {
    if (offered_.count(id) == 0) add_hub_model(places_.folder, id, out.entries);
  }
  std::map<std::string, std::string> kept;
  for (const catalogue_entry& e : view_.entries) {
    if (e.is_default) kept.emplace(e.pipeline, e.model);
  }
  choose_defaults(out.entries, places_.defaults, kept);
  for (const auto& [id, seen] : sighted_) {
    if (out.coming.size() < most_coming) out.coming.push_back({id, seen.why});
  }
  return out;
}

std::optional<catalogue_view> model_watch::look() {
  std::error_code error;
  if (places_.folder.empty() || !fs::is_directory(places_.folder, error)) return std::nullopt;
  const auto found =
      find_models(places_.folder, [this](const fs::path& file) { return is_checkpoint(file); });
  if (!found) return std::nullopt;
  for (auto& [id, model] : offered_) ++model.missed;
  std::map<std::string, sighting> now;
  for (const fs::path& model : *found) {
    const std::string id = model.lexically_relative(places_.folder).generic_string();
    const auto there = offered_.find(id);
    if (there != offered_.end()) {
      there->second.missed = 0;
    } else {
      see(id, model, now);
    }
  }
  std::erase_if(offered_, [](const auto& entry) {
    if (entry.second.missed < patience) return false;
    log::info("models", "{} is gone and no longer offered", entry.first);
    return true;
  });
  sighted_ = std::move(now);
  std::erase_if(checkpoints_, [](const auto& entry) {
    std::error_code ignored;
    return !fs::exists(entry.first, ignored);
  });
  auto fresh = assemble();
  if (same(fresh, view_)) return std::nullopt;
  view_ = std::move(fresh);
  return view_;
}

}  // namespace lp::pipelines
