// SPDX-License-Identifier: MIT
// `lp-bench tickets`: receiving tickets, from bytes in memory to durable credit.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace lp::bench {

struct tickets_options {
  int tickets = 30'000;  ///< signed beforehand
  int batch = 150;       ///< tickets in a payment
  int cores = 1;         ///< the process may use no more
  int receivers = 1;     ///< threads that verify
  std::string folder;    ///< where the ledger's folder is made; empty: among temporary files
};

void add_tickets_options(CLI::App& command, tickets_options& options);

/// Prints the raw rate of signature recovery and that of whole tickets; the exit code.
int bench_tickets(const tickets_options& options);

}  // namespace lp::bench
