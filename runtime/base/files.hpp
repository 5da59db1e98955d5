// SPDX-License-Identifier: MIT
// Files that others read while they are written: whole or not at all.
#pragma once

#include <filesystem>
#include <string_view>

#include "runtime/base/error.hpp"

namespace lp {

enum class file_access {
  umask,  ///< as the process's umask has it; a file that is replaced keeps its mode
  owner,  ///< readable and writable by the owner alone (0600)
};

/// Writes under another name in the same folder, brings that to the disk and renames it: a reader,
/// or a crash, meets the old file or the new one. A symbolic link stays one, what it points at is
/// written; a pipe or a device is written directly. ec::bad_file, naming the file and the reason.
result<void> write_file(const std::filesystem::path& file, std::string_view bytes,
                        file_access access = file_access::umask);

/// The same for a file that is not there yet: of several processes one makes it. False, and nothing
/// is written, where it is there already.
result<bool> create_file(const std::filesystem::path& file, std::string_view bytes,
                         file_access access = file_access::umask);

/// Makes what is missing of the folder, each part for its owner alone (0700). What was there stays
/// as it is. ec::bad_file, naming the folder and the reason.
result<void> make_private_folder(const std::filesystem::path& folder);

/// Whether `file` lies below `folder`, links followed; neither has to be there.
bool lies_below(const std::filesystem::path& file, const std::filesystem::path& folder);

}  // namespace lp
