// SPDX-License-Identifier: MIT
#include "tools/lp-train/progress.hpp"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

namespace lp::train {

progress_bar::progress_bar(std::string name, std::int64_t first, std::int64_t total)
    : name_(std::move(name)),
      first_(first),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(clock::now()),
      shown_(start_ - seconds{60}),
      done_(first) {}

void progress_bar::update(std::int64_t done, double loss, double rate) {
  loss_ = done_ == first_ ? loss : loss_ + 0.02 * (loss - loss_);
  rate_ = rate;
  done_ = done;
  const auto now = clock::now();
  if (now - shown_ < (terminal_ ? milliseconds{200} : milliseconds{20000})) return;
  shown_ = now;
  print(done);
}

void progress_bar::finish() {
  print(done_);
  if (terminal_) std::fputc('\n', stderr);
}

void progress_bar::print(std::int64_t done) {
  constexpr int width = 24;
  const double spent = to_ms(clock::now() - start_) / 1000;
  const double speed = spent > 0 ? static_cast<double>(done - first_) / spent : 0;
  const auto left = speed > 0 ? static_cast<long>(static_cast<double>(total_ - done) / speed) : 0;
  const auto filled = total_ > 0 ? static_cast<int>(width * done / total_) : width;
  const auto line = fmt::format(
      "{} [{:#<{}}{:.<{}}] {}/{} loss {:.4f} lr {:.1e} {:.2f} it/s ETA {}:{:02}", name_, "", filled,
      "", width - filled, done, total_, loss_, rate_, speed, left / 60, left % 60);
  std::fputs(terminal_ ? ("\r" + line + "  ").c_str() : (line + "\n").c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace lp::train
