// SPDX-License-Identifier: MIT
// The ledger's tables and how an older file becomes a newer one.
#pragma once

#include "payments/sqlite.hpp"

namespace lp::payments {

/// What this program writes. A file of a later version is refused.
inline constexpr int ledger_version = 3;

/// What the file's version is, 0 for an empty one. ec::bad_file if it is newer than this program or
/// is another program's.
result<int> find_version(sqlite::database& db);

/// Brings the file to `version`, each step in a transaction of its own. ec::bad_file if the file is
/// newer than this program or is another program's.
result<void> migrate(sqlite::database& db, int version = ledger_version);

}  // namespace lp::payments
