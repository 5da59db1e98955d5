// SPDX-License-Identifier: MIT
#include "pipelines/weights/model_stamp.hpp"

#include <algorithm>
#include <system_error>

#include <sys/stat.h>

#include <fmt/format.h>

namespace lp::pipelines {

namespace fs = std::filesystem;

namespace {

// More than models in many shards have.
constexpr std::size_t most_files = 1024;

void add_files(const fs::path& folder, bool parts_too, std::vector<fs::path>& out) {
  std::error_code bad;
  for (fs::directory_iterator it(folder, bad), end; !bad && it != end; it.increment(bad)) {
    std::error_code ignored;
    const auto name = it->path().filename().string();
    if (name.starts_with('.') || out.size() >= most_files) continue;
    if (it->is_regular_file(ignored)) {
      out.push_back(it->path());
    } else if (parts_too && name != "loras" && it->is_directory(ignored)) {
      add_files(it->path(), false, out);
    }
  }
}

}  // namespace

std::string place_of_file(const fs::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0) return {};
  return fmt::format("{}:{} {} {}.{}", s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec,
                     s.st_mtim.tv_nsec);
}

model_stamp model_stamp::of(const fs::path& model) {
  std::vector<fs::path> files;
  std::error_code ignored;
  if (fs::is_regular_file(model, ignored)) {
    auto beside = model;
    beside.replace_extension(".json");
    files = {model, beside, model.parent_path() / "lp_model.json"};
  } else if (!model.empty()) {
    add_files(model, true, files);
    files.push_back(model / "lp_model.json");  // which may be added later
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  model_stamp out;
  for (auto& file : files) {
    auto place = place_of_file(file);
    out.files_.emplace_back(std::move(file), std::move(place));
  }
  return out;
}

bool model_stamp::is_outdated() const {
  return std::any_of(files_.begin(), files_.end(), [](const auto& f) {
    const auto now = place_of_file(f.first);
    return !now.empty() && now != f.second;
  });
}

std::string model_stamp::text() const {
  std::string out;
  for (const auto& [file, place] : files_) out += fmt::format("{} {}\n", file.string(), place);
  return out;
}

}  // namespace lp::pipelines
