// SPDX-License-Identifier: MIT
#include "actors/model_source.hpp"

#include <fmt/core.h>

#include "pipelines/description.hpp"
#include "pipelines/model_index.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/log.hpp"

namespace lp::actors {

namespace {

constexpr seconds between_log_lines{10};

std::string told(const pull_state& s) {
  const double share =
      s.total == 0 ? 0 : 100.0 * static_cast<double>(s.done) / static_cast<double>(s.total);
  return fmt::format("{:.0f} % pulled ({} of {})", share, human_bytes(s.done),
                     human_bytes(s.total));
}

}  // namespace

std::optional<pipelines::catalogue_entry> model_source::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  for (const pipelines::catalogue_entry& e : entries_) {
    if (e.model == id) return e;
  }
  return std::nullopt;
}

void model_source::replace(std::vector<pipelines::catalogue_entry> entries) {
  const std::lock_guard lock(mutex_);
  entries_ = std::move(entries);
}

result<void> model_source::pull(const pipelines::catalogue_entry& entry) {
  const auto name = net::parse_hub_name(entry.model);
  if (!name) return fail(name.error());
  pull_options options;
  options.models = entry.pull_into;
  options.hub = hub_from_environment();
  time_point logged = clock::now();
  options.progress = [&](const pull_state& s) {
    const std::lock_guard lock(mutex_);
    under_way_[entry.model] = s;
    if (clock::now() - logged < between_log_lines) return;
    logged = clock::now();
    log::info("models", "{}: {}", entry.model, told(s));
  };
  log::info("models", "pulling {} from {}", entry.model, options.hub.endpoint);
  const auto folder = pull_model(*name, options, {});
  const std::lock_guard lock(mutex_);
  under_way_.erase(entry.model);
  if (!folder) return fail(folder.error());
  return {};
}

result<std::shared_ptr<pipelines::model>> model_source::load(const std::string& id) {
  const auto entry = find(id);
  if (!entry) {
    return fail(ec::not_found, fmt::format("this worker does not offer {}", id));
  }
  std::error_code none;
  const bool absent = !entry->pull_into.empty() &&
                      !std::filesystem::exists(entry->folder / pipelines::model_index_name, none);
  if (absent) {
    if (auto ok = pull(*entry); !ok) return fail(std::move(ok.error()));
  }
  {
    // From before the files are read: what is replaced meanwhile is noticed later.
    auto stamp =
        std::make_shared<const pipelines::model_stamp>(pipelines::model_stamp::of(entry->folder));
    const std::lock_guard lock(mutex_);
    loaded_[id] = std::move(stamp);
  }
  return pipelines::find(entry->pipeline)->load(entry->folder, where_);
}

bool model_source::is_outdated(const std::string& id) const {
  std::shared_ptr<const pipelines::model_stamp> stamp;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = loaded_.find(id); it != loaded_.end()) stamp = it->second;
  }
  return stamp && stamp->is_outdated();
}

std::uint64_t model_source::estimate(const std::string& id) const {
  const auto entry = find(id);
  return !entry ? 0 : pipelines::weight_bytes(entry->folder);
}

std::string model_source::progress(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto it = under_way_.find(id);
  return it == under_way_.end() ? std::string() : told(it->second);
}

}  // namespace lp::actors
