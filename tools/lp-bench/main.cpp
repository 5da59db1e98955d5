// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include "tools/lp-bench/unet.hpp"

int main(int argc, char** argv) {
  CLI::App app("Measures the parts of lp-runtime.");
  app.require_subcommand(1);
  lp::bench::unet_options unet;
  auto* unet_command = app.add_subcommand("unet", "one call of a UNet with random weights");
  lp::bench::add_unet_options(*unet_command, unet);
  CLI11_PARSE(app, argc, argv);
  return lp::bench::bench_unet(unet);
}
