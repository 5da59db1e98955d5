// SPDX-License-Identifier: MIT
// lp-train: trains the model in examples/models from random weights.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "tools/command_line.hpp"
#include "tools/lp-train/stages.hpp"

namespace {

lp::result<at::Device> parse_device(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  if (!at::globalContext().hasCUDA()) {
    return lp::fail(lp::ec::bad_config,
                    "--device cuda: this libtorch is built without CUDA or finds no GPU; use "
                    "--device cpu");
  }
  return at::Device(at::kCUDA);
}

lp::result<void> run(const lp::train::options& o, const std::string& stage,
                     const lp::train::evaluation& judged) {
  std::error_code failed;
  std::filesystem::create_directories(o.work, failed);
  if (failed) {
    return lp::fail(lp::ec::bad_config,
                    fmt::format("--work {}: {}", o.work.string(), failed.message()));
  }
  if (stage == "vae" || stage == "all") {
    if (auto done = lp::train::train_vae(o); !done) return lp::fail(done.error());
  }
  if (stage == "decoder" || stage == "all") {
    if (auto done = lp::train::train_decoder(o); !done) return lp::fail(done.error());
  }
  if (stage == "diffusion" || stage == "all") {
    if (auto done = lp::train::train_diffusion(o); !done) return lp::fail(done.error());
  }
  if (stage == "finish" || stage == "all") {
    if (auto done = lp::train::finish_decoder(o); !done) return lp::fail(done.error());
  }
  if (judged.count == 0) return {};
  return lp::train::evaluate(o, judged);
}

}  // namespace

int main(int argc, char** argv) {
  lp::train::options o;
  std::string stage = "all", device = "cpu";
  lp::train::evaluation judged;
  CLI::App app(
      "Trains the small text-to-image model in examples/models from random weights, on "
      "pictures it draws itself.");
  app.option_defaults()->always_capture_default();
  app.add_option("--out", o.model, "Model folder to write");
  app.add_option("--work", o.work, "Folder for checkpoints and sample sheets");
  app.add_option("--stage", stage, "What to train")
      ->check(CLI::IsMember({"vae", "decoder", "diffusion", "finish", "all", "none"}));
  app.add_option("--device", device, "Where to compute")->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--threads", o.threads, "CPU threads")->check(CLI::Range(1, 1024));
  app.add_option("--seed", o.seed, "Seed of weights, pictures, captions and noise");
  const auto positive = CLI::Range(std::int64_t{1}, std::int64_t{100'000'000});
  app.add_option("--vae-iterations", o.vae_iterations, "Length of stage vae")->check(positive);
  app.add_option("--decoder-iterations", o.decoder_iterations, "Length of stage decoder")
      ->check(positive);
  app.add_option("--diffusion-iterations", o.diffusion_iterations, "Length of stage diffusion")
      ->check(positive);
  app.add_option("--finish-iterations", o.finish_iterations, "Length of stage finish")
      ->check(positive);
  app.add_option("--vae-batch", o.vae_batch, "Pictures an iteration")->check(positive);
  app.add_option("--diffusion-batch", o.diffusion_batch, "Pictures an iteration")->check(positive);
  app.add_option("--vae-rate", o.vae_rate, "Learning rate of stages vae and decoder");
  app.add_option("--finish-rate", o.finish_rate, "Learning rate of stage finish");
  app.add_option("--diffusion-rate", o.diffusion_rate, "Learning rate of stage diffusion");
  app.add_option("--drawn", o.drawn, "Latents that the UNet draws for stage finish")
      ->check(positive);
  app.add_option("--minutes", o.minutes,
                 "Stop a stage after so long; 0: never. Run again to go on");
  app.add_option("--every", o.every, "Iterations between checkpoints")->check(positive);
  app.add_flag("--bf16", o.bfloat16, "Multiply in bf16");
  app.add_option("--eval", judged.count, "Held-out prompts to judge at the end; 0: none")
      ->check(CLI::Range(0, 100'000));
  app.add_option("--eval-kind", judged.kind, "What to judge")
      ->check(CLI::IsMember({"all", "single", "training", "pairs", "edits"}));
  app.add_option("--eval-seed", judged.seed, "Seed of the prompts and the noise when judging");
  app.add_option("--steps", judged.steps, "Sampling steps when judging")
      ->check(CLI::Range(1, 1000));
  app.add_option("--guidance", judged.guidance, "Guidance scale when judging");
  if (const auto over = lp::read_command_line(app, argc, argv)) return *over;
  // Training has threads of its own; see parallel.hpp.
  at::set_num_threads(1);
  const auto where = parse_device(device);
  if (where) o.device = *where;
  const auto done = where ? run(o, stage, judged) : lp::fail(where.error());
  if (done) return 0;
  fmt::print(stderr, "lp-train: {}\n", lp::render(done.error()));
  return 1;
}
