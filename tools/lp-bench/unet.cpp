// SPDX-License-Identifier: MIT
#include "tools/lp-bench/unet.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "pipelines/engine/unet.hpp"
#include "runtime/base/bytes.hpp"
#include "tools/lp-bench/memory.hpp"
#include "tools/lp-bench/yardstick.hpp"

namespace lp::bench {

namespace {

/// What sets Stable Diffusion 1.5 apart from the defaults of the configuration.
constexpr const char* sd15 = R"({
  "block_out_channels": [320, 640, 1280, 1280], "attention_head_dim": 8,
  "cross_attention_dim": 768, "layers_per_block": 2,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                       "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                     "CrossAttnUpBlock2D"]})";

result<engine::unet_config> read_config(const std::string& name) {
  if (name == "sd15") return engine::parse_unet_config(boost::json::parse(sd15).as_object());
  const auto json = engine::read_json_file(name);
  if (!json) return fail(json.error());
  return engine::parse_unet_config(*json);
}

std::string load_average() {
  double loads[3] = {};
  return getloadavg(loads, 3) == 3 ? fmt::format("{:.1f} {:.1f}", loads[0], loads[1]) : "unknown";
}

engine::unet_input random_input(const engine::unet_config& config, const unet_options& o) {
  engine::unet_input in;
  in.sample = at::randn({o.batch, config.in_channels, o.latent, o.latent});
  in.timestep = at::full({1}, 500.0);
  in.encoder_hidden_states =
      at::randn({o.batch, o.tokens, config.levels.front().cross_attention_dim});
  if (config.time_cond_proj_dim != 0)
    in.timestep_cond = at::randn({o.batch, config.time_cond_proj_dim});
  if (config.class_embed != engine::class_embedding::none)
    in.class_labels = at::zeros({o.batch}, at::kLong);
  if (config.text_time) {
    in.time_ids = at::full({o.batch, 6}, 512.0);
    in.text_embeds = at::randn({o.batch, config.projection_class_embeddings_input_dim -
                                             6 * config.addition_time_embed_dim});
  }
  return in;
}

double call(const engine::unet& net, const engine::unet_input& in) {
  const auto start = std::chrono::steady_clock::now();
  const auto out = net(in);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (!at::isfinite(out).all().item<bool>()) fmt::print(stderr, "the output is not finite\n");
  return took.count();
}

}  // namespace

void add_unet_options(CLI::App& command, unet_options& o) {
  command.add_option("config", o.config, "\"sd15\" or the path of a UNet's config.json")
      ->capture_default_str();
  command.add_option("--dtype", o.dtype, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  command.add_option("--latent", o.latent, "side of the latent")->check(CLI::Range(1, 1024));
  command.add_option("--batch", o.batch, "pictures a call")->check(CLI::Range(1, 64));
  command.add_option("--tokens", o.tokens, "tokens of text")->check(CLI::Range(1, 1024));
  command.add_option("--calls", o.calls, "calls; the first is not counted")
      ->check(CLI::Range(2, 1000));
  command.add_option("--threads", o.threads, "0: all cores")->check(CLI::Range(0, 1024));
}

int bench_unet(const unet_options& o) {
  const auto config = read_config(o.config);
  if (!config) {
    fmt::print(stderr, "lp-bench: {}\n", config.error().message);
    return 2;
  }
  const auto cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  at::set_num_threads(o.threads > 0 ? o.threads : cores);
  engine::use_tensor_memory();
  const c10::InferenceMode inference;
  const auto before = process_memory("VmRSS");
  auto weights = std::make_unique<engine::random_parameters>(engine::random_parameters::options{
      .dtype = o.dtype == "bf16" ? at::kBFloat16 : at::kFloat, .requires_grad = false});
  engine::unet net(*config, engine::scope(*weights));
  weights.reset();  // as when loading from files, the network alone holds them
  net.pack();
  const auto built = process_memory("VmRSS");
  const auto in = random_input(*config, o);
  double best = 0;
  for (int i = 0; i < o.calls; ++i) {
    const auto seconds = call(net, in);
    fmt::print("call {}: {:.3f} s{} (load {})\n", i, seconds, i == 0 ? ", not counted" : "",
               load_average());
    std::fflush(stdout);
    if (i == 1 || (i > 1 && seconds < best)) best = seconds;
  }
  fmt::print(
      "{} {}, batch {}, latent {}x{}, {} threads: best {:.3f} s; weights {}, peak memory {}\n",
      o.config, o.dtype, o.batch, o.latent, o.latent, at::get_num_threads(), best,
      human_bytes(built - before), human_bytes(process_memory("VmHWM")));
  // After the calls: its own memory is none of theirs.
  const auto around = take_yardstick(5);
  fmt::print("yardstick: {}; the call is {:.1f} times both\n", to_string(around),
             best / around.sum());
  return 0;
}

}  // namespace lp::bench
