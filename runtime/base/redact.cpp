// SPDX-License-Identifier: MIT
#include "runtime/base/redact.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

namespace lp {

namespace {

namespace fs = std::filesystem;

// Spaces in a path that are looked behind.
constexpr int most_spaces = 8;

bool begins_path(std::string_view text, std::size_t at) {
  if (text[at] != '/' || at + 1 >= text.size()) return false;
  constexpr std::string_view before = " \t\n\"'`([<=,";
  constexpr std::string_view not_next = " \t\n\"'`)]>/,";
  return (at == 0 || before.find(text[at - 1]) != before.npos) &&
         not_next.find(text[at + 1]) == not_next.npos;
}

// Where the word that begins there ends: at a space, a quote, a bracket, or a colon before those.
std::size_t end_of_word(std::string_view text, std::size_t at) {
  constexpr std::string_view ends = " \t\n\"'`)]>,;";
  auto end = std::min(text.find_first_of(ends, at), text.size());
  while (end > at && (text[end - 1] == ':' || text[end - 1] == '.')) --end;
  return end;
}

bool on_disk(const std::string& path) {
  std::error_code bad;
  const fs::path p(path);
  if (fs::exists(p, bad)) return true;
  // A file that is missing, in a folder that is there.
  return p.filename().string().find(' ') == std::string::npos &&
         fs::is_directory(p.parent_path(), bad);
}

std::size_t end_of_path(std::string_view text, std::size_t at) {
  const auto first = end_of_word(text, at);
  auto found = first;
  auto end = first;
  for (int i = 0; i < most_spaces && end < text.size(); ++i) {
    const auto next = text.find_first_not_of(" :.", end);
    if (next == text.npos || text.find('\n', end) < next) break;
    end = std::max(end_of_word(text, next), next + 1);
    if (on_disk(std::string(text.substr(at, end - at)))) found = end;
  }
  return found;
}

std::string shown(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  std::vector<std::size_t> slashes;
  for (std::size_t i = 0; i < path.size(); ++i)
    if (path[i] == '/') slashes.push_back(i);
  if (slashes.size() < 2) return std::string(path);
  const auto kept = slashes.size() >= 4 ? slashes[slashes.size() - 2] : slashes.back();
  return std::string(path.substr(kept + 1));
}

}  // namespace

std::string without_paths(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (!begins_path(text, i)) {
      out += text[i++];
      continue;
    }
    const auto end = end_of_path(text, i);
    out += shown(text.substr(i, end - i));
    i = end;
  }
  return out;
}

error without_paths(error e) {
  e.message = without_paths(std::string_view(e.message));
  for (auto& field : e.fields) field.msg = without_paths(std::string_view(field.msg));
  return e;
}

}  // namespace lp
