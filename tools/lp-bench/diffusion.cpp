// SPDX-License-Identifier: MIT
#include "tools/lp-bench/diffusion.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <span>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "pipelines/engine.hpp"
#include "pipelines/engine/compute_scope.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/clock.hpp"
#include "tools/lp-bench/memory.hpp"
#include "tools/lp-bench/yardstick.hpp"

namespace lp::bench {

namespace {

pipelines::job_input job(const diffusion_options& o, int seed) {
  pipelines::job_input in;
  in.params = {{"prompt", "a red circle on a blue background"},
               {"width", o.width},
               {"height", o.height},
               {"num_inference_steps", o.steps},
               {"guidance_scale", o.guidance},
               {"seed", seed},
               {"num_images_per_prompt", o.images}};
  return in;
}

struct timing {
  double seconds = 0;  ///< of all pictures
  double step = 0;     ///< of one denoising call, the mean
};

/// Works as the worker's queue does: in turn, or all of one key together.
result<timing> run_jobs(pipelines::model& model, const diffusion_options& o, int count,
                        bool batched) {
  timing out;
  int calls = 0;
  const auto start = clock::now();
  std::vector<std::unique_ptr<pipelines::run>> runs;
  for (int i = 0; i < count; ++i) {
    auto run = model.start(job(o, i));
    if (!run) return fail(run.error());
    runs.push_back(std::move(*run));
  }
  while (!runs.empty()) {
    std::vector<pipelines::run*> now;
    const auto key = runs.front()->batch_key();
    for (auto& run : runs) {
      if (now.empty() || (batched && key != 0 && run->batch_key() == key)) now.push_back(run.get());
    }
    const auto begin = clock::now();
    const auto stepped = now.front()->step_with(std::span(now).subspan(1));
    if (key != 0) {
      out.step += to_ms(clock::now() - begin) / 1000;
      ++calls;
    }
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (!stepped[i]) return fail(stepped[i].error());
      if (stepped[i]->done < stepped[i]->total) continue;
      const auto ended = std::find_if(runs.begin(), runs.end(),
                                      [&](const auto& run) { return run.get() == now[i]; });
      if (auto finished = (*ended)->finish(); !finished) return fail(finished.error());
      runs.erase(ended);
    }
    if (!batched && runs.size() > 1) std::rotate(runs.begin(), runs.begin() + 1, runs.end());
  }
  out.seconds = to_ms(clock::now() - start) / 1000;
  out.step /= std::max(calls, 1);
  return out;
}

/// Steps are queued ahead of the GPU: their mean over a whole run is the GPU's own time.
void print_gpu(const timing& together, const engine::gpu_memory_figures& memory) {
  fmt::print("  {:.2f} shared steps/s; tensors {} at the highest, {} taken from the device\n",
             together.step > 0 ? 1 / together.step : 0.0, human_bytes(memory.peak),
             human_bytes(memory.reserved));
}

int complain(const error& e) {
  fmt::print(stderr, "lp-bench: {}\n", e.message);
  return 1;
}

}  // namespace

void add_diffusion_options(CLI::App& command, diffusion_options& o) {
  command.add_option("model", o.model, "a model's folder or checkpoint file")->required();
  command.add_option("--width", o.width, "pixels")->check(CLI::Range(64, 2048));
  command.add_option("--height", o.height, "pixels")->check(CLI::Range(64, 2048));
  command.add_option("--steps", o.steps, "denoising steps")->check(CLI::Range(1, 1000));
  command.add_option("--guidance", o.guidance, "1: none, and half the work");
  command.add_option("--images", o.images, "pictures of each job")->check(CLI::Range(1, 16));
  command.add_option("--jobs", o.jobs, "how many at once, a list")->delimiter(',');
  command.add_option("--threads", o.threads, "0: all cores")->check(CLI::Range(0, 1024));
  command.add_option("--device", o.device, "\"cpu\" or a GPU, as \"cuda:0\"")
      ->capture_default_str();
}

int bench_diffusion(const diffusion_options& o) {
  const auto engine = pipelines::get_engine();
  if (!engine) return complain(engine.error());
  const auto parsed = pipelines::parse_device(o.device);
  if (!parsed) return complain(parsed.error());
  auto where = *parsed;
  const bool on_gpu = where.type == pipelines::device::kind::cuda;
  if (!on_gpu && where.threads == 0) where.threads = o.threads;
  std::vector<std::string> warnings;
  if (const auto opened = (*engine)->open_device(where, warnings); !opened)
    return complain(opened.error());
  for (const auto& warning : warnings) fmt::print("{}\n", warning);
  const auto model = (*engine)->load_image_model(o.model, where);
  if (!model) return complain(model.error());
  const auto need = (*model)->memory_for(job(o, 0));
  if (!need) return complain(need.error());
  const auto device = engine::torch_device(where);
  auto around = on_gpu ? yardstick{} : take_yardstick();
  if (const auto warm = run_jobs(**model, o, 1, false); !warm) return complain(warm.error());
  reset_peak_memory();
  engine::reset_tensor_memory_peak();
  engine::reset_gpu_memory_peak(device);
  const auto before = process_memory("VmRSS");
  const auto held = engine::tensor_memory().in_use;
  for (const int count : o.jobs) {
    auto alone = run_jobs(**model, o, count, false);
    const auto peak = process_memory("VmHWM");
    const auto tensors = engine::tensor_memory().peak - held;
    if (!alone) return complain(alone.error());
    auto together = run_jobs(**model, o, count, true);
    if (!together) return complain(together.error());
    // Of one job both are the same computation: the best of some, in turn, says so.
    for (int i = 0; count == 1 && i < 4; ++i) {
      const auto first = run_jobs(**model, o, count, false);
      const auto second = run_jobs(**model, o, count, true);
      if (first && first->seconds < alone->seconds) alone = first;
      if (second && second->seconds < together->seconds) together = second;
    }
    fmt::print(
        "{} job{}: {:.3f} s a step, {:.3f} s a picture, {:.2f} pictures/s in turn; {:.3f} s a "
        "shared step, {:.2f} pictures/s with continuous batching ({:.2f} x)\n",
        count, count == 1 ? "" : "s", alone->step, alone->seconds / count, count / alone->seconds,
        together->step, count / together->seconds, alone->seconds / together->seconds);
    if (on_gpu) print_gpu(*together, engine::gpu_memory(device));
    if (count == 1 && !on_gpu)
      fmt::print(
          "peak memory {}: {} on top of what was held, {} of tensors; foreseen {} ({:.2f} x)\n",
          human_bytes(peak), human_bytes(peak > before ? peak - before : 0), human_bytes(tensors),
          human_bytes(need->peak), static_cast<double>(need->peak) / static_cast<double>(tensors));
    std::fflush(stdout);
  }
  if (on_gpu) return 0;  // the yardstick is the CPU's
  around = best_of(around, take_yardstick());
  fmt::print("yardstick: {}\n", to_string(around));
  return 0;
}

}  // namespace lp::bench
