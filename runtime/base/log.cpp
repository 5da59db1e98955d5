// SPDX-License-Identifier: MIT
#include "runtime/base/log.hpp"

#include <atomic>
#include <chrono>
#include <string>

#include <fmt/chrono.h>
#include <unistd.h>

namespace lp::log {

namespace {

std::atomic<level> lowest_level{level::info};

constexpr std::string_view names[] = {"debug", "info", "warn", "error", "off"};

// Names and reasons come from other nodes, too: a record stays one line and moves no cursor.
std::string one_line(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out.push_back(c);
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  return out;
}

}  // namespace

void set_level(level lowest) {
  lowest_level.store(lowest, std::memory_order_relaxed);
}

level get_level() {
  return lowest_level.load(std::memory_order_relaxed);
}

bool set_level(std::string_view name) {
  for (std::size_t i = 0; i < std::size(names); ++i) {
    if (names[i] != name) continue;
    set_level(static_cast<level>(i));
    return true;
  }
  return false;
}

void write(level at, std::string_view component, std::string_view text) {
  using namespace std::chrono;
  const auto now = system_clock::now();
  const auto ms = duration_cast<milliseconds>(now.time_since_epoch()).count() % 1000;
  const std::string line =
      fmt::format("{:%H:%M:%S}.{:03} {:<5} {}: {}\n", fmt::localtime(system_clock::to_time_t(now)),
                  ms, names[static_cast<std::size_t>(at)], component, one_line(text));
  // A record that cannot be written has nowhere else to go.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace lp::log
