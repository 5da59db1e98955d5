// SPDX-License-Identifier: MIT
#include "tools/lp-bench/unet.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "pipelines/device.hpp"
#include "pipelines/engine/compute_scope.hpp"
#include "pipelines/engine/convert_weights.hpp"
#include "pipelines/engine/cuda/recorded_calls.hpp"
#include "pipelines/engine/guarded.hpp"
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

engine::unet_input random_input(const engine::unet_config& config, const unet_options& o,
                                at::Device device) {
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
  auto tensors = in.tensors();
  for (auto& tensor : tensors)
    if (tensor.defined()) tensor = tensor.to(device);
  return engine::unet_input::of(tensors);
}

double call(const engine::unet& net, const engine::unet_input& in) {
  const auto start = std::chrono::steady_clock::now();
  const auto out = net(in);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (!at::isfinite(out).all().item<bool>()) fmt::print(stderr, "the output is not finite\n");
  return took.count();
}

/// Calls a second, queued one after the other as a run's steps are.
double calls_a_second(int calls, at::Device device, const std::function<at::Tensor()>& call) {
  engine::wait_for_gpu(device);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) {
    (void)call();
    engine::end_round(device, 1);
  }
  engine::wait_for_gpu(device);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return calls / took.count();
}

/// As it is and recorded.
void measure_on_gpu(const engine::unet_config& config, at::Device device, const unet_options& o) {
  engine::random_parameters weights(
      {.dtype = *engine::weight_type(o.dtype), .requires_grad = false, .device = device});
  const engine::unet net(config, engine::scope(weights));
  const auto in = random_input(config, o, device);
  const engine::network_call network = [&net](const std::vector<at::Tensor>& tensors) {
    return net(engine::unet_input::of(tensors));
  };
  const auto held = engine::gpu_memory(device).in_use;
  const auto plain = [&] { return network(in.tensors()); };
  (void)calls_a_second(2, device, plain);
  engine::reset_gpu_memory_peak(device);
  fmt::print("{} {}, batch {}, latent {}x{} on {}: weights {}\n", o.config, o.dtype, o.batch,
             o.latent, o.latent, device.str(), human_bytes(held));
  const auto print = [&](const char* how, double rate) {
    const auto memory = engine::gpu_memory(device);
    fmt::print(
        "{}: {:.2f} calls/s, {:.2f} ms a call; tensors {} at the highest, {} taken from the "
        "device\n",
        how, rate, 1000 / rate, human_bytes(memory.peak), human_bytes(memory.reserved));
  };
  print("as it is", calls_a_second(o.calls, device, plain));
  engine::recorded_calls calls(engine::new_graph_recorder(device));
  const auto recorded = [&] { return calls(network, in.tensors()); };
  (void)calls_a_second(engine::recorded_calls::plain_calls + 1, device, recorded);
  if (calls.recorded() == 0) return fmt::print("recorded: this call cannot be\n");
  const auto rate = calls_a_second(o.calls, device, recorded);
  print("recorded", rate);
  const auto difference = (recorded() - plain()).abs().max().item<double>();
  fmt::print("largest difference between both: {:.2g}\n", difference);
  engine::wait_for_gpu(device);
}

int bench_unet_on_gpu(const engine::unet_config& config, const pipelines::device& where,
                      const unet_options& o) {
  const auto measured = engine::guarded([&]() -> result<void> {
    if (!engine::has_torch_cuda())
      return fail(ec::bad_config, "--device: this program was built without a libtorch for GPUs");
    const engine::compute_scope scope(where);
    measure_on_gpu(config, engine::torch_device(where), o);
    return {};
  });
  if (measured) return 0;
  fmt::print(stderr, "lp-bench: {}\n", measured.error().message);
  return 1;
}

}  // namespace

void add_unet_options(CLI::App& command, unet_options& o) {
  command.add_option("config", o.config, "\"sd15\" or the path of a UNet's config.json")
      ->capture_default_str();
  command.add_option("--device", o.device, "\"cpu\" or a GPU, as \"cuda:0\"")
      ->capture_default_str();
  command.add_option("--dtype", o.dtype, "fp32, bf16 or, on GPUs, fp16")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
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
  const auto where = pipelines::parse_device(o.device);
  if (!config || !where) {
    fmt::print(stderr, "lp-bench: {}\n", (config ? where.error() : config.error()).message);
    return 2;
  }
  if (where->type == pipelines::device::kind::cuda) return bench_unet_on_gpu(*config, *where, o);
  if (o.dtype == "fp16") {
    fmt::print(stderr, "lp-bench: --dtype fp16: networks compute in it on GPUs alone\n");
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
  const auto in = random_input(*config, o, at::kCPU);
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
