// SPDX-License-Identifier: MIT
// Files that are not what their names say: what a download, a clone without its large files or a
// proxy leaves in their place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace lp::pipelines {

/// What a file that begins so is in truth, for messages: "a Git LFS pointer, not the file itself
/// ...", an empty file, a web page. Empty for all else.
std::string what_it_is(std::string_view beginning);

/// The same of a file on disk, to be asked after it could not be read as what its name says; also
/// tells downloads that were not finished by their names, and those that were given their size
/// first and hold zeros.
std::string what_it_is(const std::filesystem::path& file);

/// `defect`, and what the file is in truth where that is known: "PATH: it is a Git LFS pointer
/// ... (DEFECT)".
std::string told_of_file(const std::filesystem::path& file, std::string_view defect);

/// The name of a download that was not finished and lies in the folder; empty if there is none.
std::string unfinished_in(const std::filesystem::path& folder);

}  // namespace lp::pipelines
