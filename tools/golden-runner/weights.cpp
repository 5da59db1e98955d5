// SPDX-License-Identifier: MIT
// Real trained networks with recorded results: what they are is told by their tensors' names.
#include <vector>

#include <ATen/ATen.h>

#include "pipelines/engine/autoencoder_tiny.hpp"
#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/dit.hpp"
#include "pipelines/engine/schedulers/noise_schedule.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

namespace fs = std::filesystem;

/// The first file of weights in a folder that holds a tensor of that name.
fs::path file_with(const fs::path& folder, const std::string& tensor) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() != ".safetensors") continue;
    const auto tensors = engine::open_tensors(entry.path());
    if (tensors && tensors->contains(tensor)) return entry.path();
  }
  return {};
}

/// All steps of the recorded times; "eps_t999" is the network's output there on the initial noise.
result<answer> draw_classes(const golden_case& c, const fs::path& file) {
  const auto network = engine::load_dit(file);
  if (!network) return fail(network.error());
  const auto labels = c.input("label");
  const auto times = c.input("timesteps");
  boost::json::object config{{"beta_start", 1e-4}, {"beta_end", 0.02}};
  engine::settings settings(config);
  const engine::noise_schedule schedule(settings, false);
  answer out;
  for (const auto& [name, expected] : c.expected()) {
    if (!name.starts_with("eps_t")) continue;
    out.values[name] = (**network)(c.input("noise"), std::stod(name.substr(5)), labels);
  }
  auto x = c.input("noise");
  for (std::int64_t i = 0; i < times.numel(); ++i) {
    const auto t = static_cast<int>(times[i].item<std::int64_t>());
    const bool last = i + 1 == times.numel();
    const double next =
        last ? 1.0 : schedule.alpha_cumprod(static_cast<int>(times[i + 1].item<std::int64_t>()));
    x = engine::clipped_ddim_step(x, (**network)(x, t, labels), schedule.alpha_cumprod(t), next);
    out.values["x_after_step" + std::to_string(i)] = x;
  }
  out.values["image"] = x;
  return out;
}

result<answer> decode(const golden_case& c, const fs::path& file) {
  auto tensors = engine::open_tensors(file);
  if (!tensors) return fail(tensors.error());
  const auto source = engine::checkpoint::of(std::move(*tensors), file, at::kFloat);
  const auto vae =
      engine::build_network<engine::autoencoder_tiny>(engine::autoencoder_tiny_config{}, *source);
  if (!vae) return fail(vae.error());
  return answer{{{"image", ((*vae)->decode(c.input("latents")) + 1) / 2}}, {}};
}

}  // namespace

result<answer> run_weights(const golden_case& c) {
  const auto folder = c.path("model_dir");
  if (const auto file = file_with(folder, "dits.0.wq.weight"); !file.empty())
    return draw_classes(c, file);
  if (const auto file = file_with(folder, "decoder.layers.0.weight"); !file.empty())
    return decode(c, file);
  return answer::not_yet("a network of this kind");
}

}  // namespace lp::goldens
