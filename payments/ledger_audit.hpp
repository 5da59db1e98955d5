// SPDX-License-Identifier: MIT
// Rebuilds a ledger's balances from its events and compares everything with everything.
#pragma once

#include "payments/ledger.hpp"
#include "payments/sqlite.hpp"

namespace lp::payments {

/// On a connection of its own; sees one moment, whatever is written meanwhile.
result<audit_report> audit_ledger(sqlite::database& db, bool signatures);

}  // namespace lp::payments
