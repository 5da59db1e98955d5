// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "payments/address.hpp"

namespace lp::payments {

/// The creation code of a compiled contract (Hardhat's artifact format), with the libraries it
/// calls filled in. ec::bad_file, naming the file, if it is missing, malformed or needs a library
/// that is not given.
result<std::string> read_artifact(const std::filesystem::path& file,
                                  const std::map<std::string, address>& libraries = {});

}  // namespace lp::payments
