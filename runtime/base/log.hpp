// SPDX-License-Identifier: MIT
// One line a record on standard error: time, level, component, text.
#pragma once

#include <string_view>

#include <fmt/core.h>

namespace lp::log {

enum class level { debug, info, warn, error, off };

/// Drops records below this level. The default is info. Safe from any thread.
void set_level(level lowest);
level get_level();

/// "debug", "info", "warn", "error" or "off"; anything else leaves the level as it is and is false.
bool set_level(std::string_view name);

/// Writes one record with one write(2), so that records of threads and processes do not mix.
void write(level at, std::string_view component, std::string_view text);

template <class... Ts>
void emit(level at, std::string_view component, fmt::format_string<Ts...> format, Ts&&... args) {
  if (at >= get_level()) write(at, component, fmt::format(format, std::forward<Ts>(args)...));
}
template <class... Ts>
void debug(std::string_view component, fmt::format_string<Ts...> format, Ts&&... args) {
  emit(level::debug, component, format, std::forward<Ts>(args)...);
}
template <class... Ts>
void info(std::string_view component, fmt::format_string<Ts...> format, Ts&&... args) {
  emit(level::info, component, format, std::forward<Ts>(args)...);
}
template <class... Ts>
void warn(std::string_view component, fmt::format_string<Ts...> format, Ts&&... args) {
  emit(level::warn, component, format, std::forward<Ts>(args)...);
}
template <class... Ts>
void error(std::string_view component, fmt::format_string<Ts...> format, Ts&&... args) {
  emit(level::error, component, format, std::forward<Ts>(args)...);
}

}  // namespace lp::log
