// SPDX-License-Identifier: MIT
#include "pipelines/weights/foreign_file.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>

#include <fmt/format.h>

namespace lp::pipelines {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t looked_at = 512;
constexpr const char* unfinished = "a download that was not finished";

// Of huggingface_hub, browsers, curl-like programs and aria2.
constexpr std::array<std::string_view, 6> endings = {".incomplete", ".part",  ".partial",
                                                     ".crdownload", ".aria2", ".tmp"};

bool is_unfinished(const fs::path& file) {
  const auto ending = file.extension().string();
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

// In small letters, without what may stand before a document's first mark.
std::string first_mark(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  std::string out(text.substr(first, 16));
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

std::string what_it_is(std::string_view beginning) {
  if (beginning.empty()) return "an empty file";
  if (beginning.starts_with("version https://git-lfs.github.com/") ||
      beginning.starts_with("version https://hawser.github.com/")) {
    return "a Git LFS pointer, not the file itself; \"git lfs pull\" in the clone fetches it";
  }
  const auto mark = first_mark(beginning);
  if (mark.starts_with("<!doctype html") || mark.starts_with("<html") ||
      mark.starts_with("<head")) {
    return "a web page (HTML), not the file itself: what a server or proxy answered in its place";
  }
  if (mark.starts_with("<?xml") || mark.starts_with("<error")) {
    return "an XML document, not the file itself: what a server answered in its place";
  }
  return {};
}

std::string what_it_is(const fs::path& file) {
  if (is_unfinished(file)) return unfinished;
  std::error_code bad;
  if (!fs::is_regular_file(file, bad)) return {};
  std::ifstream in(file, std::ios::binary);
  std::string text(looked_at, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return {};
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (auto is = what_it_is(std::string_view(text)); !is.empty()) return is;
  const bool zeros = text.size() == looked_at &&
                     std::all_of(text.begin(), text.end(), [](char c) { return c == 0; });
  return zeros ? "nothing but zeros where it begins: " + std::string(unfinished) : std::string();
}

std::string told_of_file(const fs::path& file, std::string_view defect) {
  const auto is = what_it_is(file);
  if (is.empty()) return fmt::format("{}: {}", file.string(), defect);
  return fmt::format("{}: it is {} ({})", file.string(), is, defect);
}

std::string unfinished_in(const fs::path& folder) {
  std::error_code bad;
  for (fs::directory_iterator it(folder, bad), end; !bad && it != end; it.increment(bad)) {
    if (is_unfinished(it->path())) return it->path().filename().string();
  }
  return {};
}

}  // namespace lp::pipelines
