// SPDX-License-Identifier: MIT
// `lp-bench noop`: what a cluster adds to a job that does nothing.
#pragma once

namespace CLI {
class App;
}

namespace lp::bench {

struct noop_options {
  int jobs = 4000;    ///< measured a row, after a tenth as many to warm up
  int payload = 64;   ///< bytes that travel there and back
  bool paid = false;  ///< also measures jobs that are paid with four tickets each
};

void add_noop_options(CLI::App& command, noop_options& options);

/// Prints a row for concurrency 1 and 64, in one process and in three; with `paid` each also for
/// paid jobs, beside how many times as much processor time these take. The exit code.
int bench_noop(const noop_options& options);

}  // namespace lp::bench
