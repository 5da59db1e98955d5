// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <fmt/format.h>

#include "net/digest.hpp"

namespace lp::testing {

/// What a hub answers about the embedded model as its repository "me/shapes", beside a file that
/// nobody needs: bodies by path, for a fault_hub.
inline std::map<std::string, std::string> shapes_repository() {
  namespace fs = std::filesystem;
  const fs::path shapes = LP_SOURCE_DIR "/examples/models/shapes-64";
  std::map<std::string, std::string> answers;
  std::string list;
  for (const auto& entry : fs::recursive_directory_iterator(shapes)) {
    if (!entry.is_regular_file()) continue;
    const std::string path = entry.path().lexically_relative(shapes).generic_string();
    std::ifstream in(entry.path(), std::ios::binary);
    answers["/me/shapes/resolve/main/" + path] = {std::istreambuf_iterator<char>(in), {}};
    const bool large = entry.path().extension() == ".safetensors";
    const auto digest = *net::digest_of(
        entry.path(), large ? net::digest_kind::sha256 : net::digest_kind::git_blob);
    list += fmt::format(R"({{"rfilename":"{}","size":{},"blobId":"{}"{}}},)", path,
                        entry.file_size(), large ? "pointer" : digest,
                        large ? fmt::format(R"(,"lfs":{{"sha256":"{}"}})", digest) : "");
  }
  list += R"({"rfilename":"unneeded.ckpt","size":5,"blobId":"0"})";
  answers["/api/models/me/shapes/revision/main"] = R"({"sha":"c0ffee","siblings":[)" + list + "]}";
  return answers;
}

}  // namespace lp::testing
