// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <exception>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "tools/command_line.hpp"
#include "tools/lp-bench/diffusion.hpp"
#include "tools/lp-bench/load.hpp"
#include "tools/lp-bench/noop.hpp"
#include "tools/lp-bench/scratch_folder.hpp"
#include "tools/lp-bench/tickets.hpp"
#include "tools/lp-bench/unet.hpp"

namespace {

int start(int argc, char** argv) {
  CLI::App app("Measures the parts of lp-runtime.");
  app.require_subcommand(1);
  lp::bench::noop_options noop;
  auto* noop_command = app.add_subcommand("noop", "what a cluster adds to a job");
  lp::bench::add_noop_options(*noop_command, noop);
  lp::bench::load_options load;
  auto* load_command = app.add_subcommand("load", "loading a model against reading its bytes");
  lp::bench::add_load_options(*load_command, load);
  lp::bench::diffusion_options diffusion;
  auto* diffusion_command =
      app.add_subcommand("diffusion", "pictures of a model, alone and among others");
  lp::bench::add_diffusion_options(*diffusion_command, diffusion);
  lp::bench::unet_options unet;
  auto* unet_command = app.add_subcommand("unet", "one call of a UNet with random weights");
  lp::bench::add_unet_options(*unet_command, unet);
  lp::bench::tickets_options tickets;
  auto* tickets_command =
      app.add_subcommand("tickets", "receiving tickets against recovering their signatures");
  lp::bench::add_tickets_options(*tickets_command, tickets);
  if (const auto over = lp::read_command_line(app, argc, argv)) return *over;
  lp::bench::clean_up_when_interrupted();
  if (noop_command->parsed()) return lp::bench::bench_noop(noop);
  if (diffusion_command->parsed()) return lp::bench::bench_diffusion(diffusion);
  if (load_command->parsed()) return lp::bench::bench_load(load);
  if (tickets_command->parsed()) return lp::bench::bench_tickets(tickets);
  return lp::bench::bench_unet(unet);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return start(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "lp-bench: {}\n", e.what());
    return EXIT_FAILURE;
  }
}
