// SPDX-License-Identifier: MIT
// Reading a command line, with words that help where something in it is not known.
#pragma once

#include <iostream>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

namespace lp {

/// Reads the arguments; the exit status if the program ends with that: after --help, --version or
/// a mistake, which is told. CLI11 2.1 lists unknown arguments from last to first, and where one is
/// misspelt it tells only of what is missing because of that.
inline std::optional<int> read_command_line(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& e) {
    const auto unknown = app.remaining(true);
    if (e.get_exit_code() == 0 || unknown.empty()) return app.exit(e);
    const auto chosen = app.get_subcommands();
    const std::string where = chosen.empty() ? "" : chosen.front()->get_name() + ": ";
    std::cerr << fmt::format("{}not known here: {}\n", where, fmt::join(unknown, " "));
    if (dynamic_cast<const CLI::ExtrasError*>(&e) == nullptr) std::cerr << e.what() << '\n';
    std::cerr << "Run with --help for more information.\n";
    return e.get_exit_code();
  }
}

}  // namespace lp
