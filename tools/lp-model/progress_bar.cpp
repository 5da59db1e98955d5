// SPDX-License-Identifier: MIT
#include "tools/lp-model/progress_bar.hpp"

#include <cmath>

#include <fmt/format.h>

#include "runtime/base/bytes.hpp"

namespace lp::model_tool {

namespace {

constexpr milliseconds between_lines{100};
constexpr int width = 24;

std::string time_text(double seconds_left) {
  const auto s = std::lround(seconds_left);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02} min", s / 60, s % 60);
  return fmt::format("{}:{:02} h", s / 3600, s % 3600 / 60);
}

}  // namespace

std::optional<std::string> progress_bar::update(const actors::pull_state& state, time_point now) {
  if (!first_) first_ = state.done;
  const bool done = state.done == state.total;
  if (shown_ && now - *shown_ < between_lines && !done) return std::nullopt;
  shown_ = now;
  const double share =
      state.total == 0 ? 1 : static_cast<double>(state.done) / static_cast<double>(state.total);
  const int filled = static_cast<int>(share * width);
  std::string out =
      fmt::format("[{}{}] {:3.0f} %  {} of {}", std::string(static_cast<std::size_t>(filled), '#'),
                  std::string(static_cast<std::size_t>(width - filled), '.'), share * 100,
                  human_bytes(state.done), human_bytes(state.total));
  const double elapsed = to_ms(now - start_) / 1e3;
  const double rate = elapsed > 0 ? static_cast<double>(state.done - *first_) / elapsed : 0;
  if (rate > 0) {
    out += fmt::format("  {}/s", human_bytes(static_cast<std::uint64_t>(rate)));
    const double left = static_cast<double>(state.total - state.done) / rate;
    if (!done) out += fmt::format("  {} left", time_text(left));
  }
  return out + "  " + state.file;
}

}  // namespace lp::model_tool
