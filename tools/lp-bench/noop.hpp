// SPDX-License-Identifier: MIT
// `lp-bench noop`: what a cluster adds to a job that does nothing.
#pragma once

namespace CLI {
class App;
}

namespace lp::bench {

struct noop_options {
  int jobs = 4000;   ///< measured a row, after a tenth as many to warm up
  int payload = 64;  ///< bytes that travel there and back
};

void add_noop_options(CLI::App& command, noop_options& options);

/// Prints a row for concurrency 1 and 64, in one process and in three; the exit code.
int bench_noop(const noop_options& options);

}  // namespace lp::bench
