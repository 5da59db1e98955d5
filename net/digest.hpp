// SPDX-License-Identifier: MIT
// Digests of files, as a model hub names them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp::net {

enum class digest_kind {
  sha256,   ///< of the bytes: what large files are named by
  git_blob  ///< SHA-1 of "blob SIZE\0" and the bytes: what Git names small files by
};

/// SHA-256: 32 bytes.
std::string sha256(std::string_view bytes);

/// In lower-case hexadecimal. ec::bad_file if the file cannot be read.
result<std::string> digest_of(const std::filesystem::path& file, digest_kind kind);

}  // namespace lp::net
