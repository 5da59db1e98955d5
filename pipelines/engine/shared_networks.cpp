// SPDX-License-Identifier: MIT
#include "pipelines/engine/shared_networks.hpp"

#include <fstream>
#include <iterator>
#include <set>

#include <sys/stat.h>

#include <fmt/format.h>

namespace lp::engine {

std::string identity_of(const std::filesystem::path& folder) {
  std::set<std::string> files;
  std::error_code bad;
  for (std::filesystem::directory_iterator it(folder, bad), end; !bad && it != end;
       it.increment(bad)) {
    if (it->path().extension() != ".safetensors") continue;
    struct stat s {};
    if (::stat(it->path().c_str(), &s) != 0) return {};
    files.insert(fmt::format("{} {}:{} {} {}.{}", it->path().filename().string(), s.st_dev,
                             s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec));
  }
  if (bad || files.empty()) return {};
  std::string out;
  for (const auto& file : files) out += file + "\n";
  std::ifstream config(folder / "config.json", std::ios::binary);
  return out + std::string(std::istreambuf_iterator<char>(config), {});
}

}  // namespace lp::engine
