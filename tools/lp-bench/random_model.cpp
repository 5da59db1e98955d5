// SPDX-License-Identifier: MIT
#include "tools/lp-bench/random_model.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/safety_checker.hpp"
#include "pipelines/engine/unet.hpp"
#include "pipelines/engine/unet_config.hpp"
#include "pipelines/weights/part_weights.hpp"

namespace lp::bench {

namespace {

namespace fs = std::filesystem;

template <class Net, class Parse>
result<void> write_part(const fs::path& folder, const char* name, bool bf16, Parse parse) {
  const fs::path file = folder / name;
  std::error_code none;
  if (pipelines::find_weights(folder) || !fs::exists(folder / "config.json", none)) return {};
  const auto json = engine::read_json_file(folder / "config.json");
  if (!json) return fail(json.error());
  const auto config = parse(*json);
  if (!config) return fail(config.error());
  engine::random_parameters source(
      {0, bf16 ? at::kBFloat16 : at::kFloat, false, at::Device(at::kCPU)});
  // Building the network asks for every tensor it has.
  const Net network(*config, engine::scope(source));
  return engine::save_safetensors(file, source.tensors());
}

}  // namespace

result<void> mirror_model(const fs::path& model, const fs::path& mirror) {
  std::error_code bad;
  const fs::path from = fs::canonical(model, bad);
  if (!bad) fs::create_directories(mirror, bad);
  for (fs::recursive_directory_iterator
           it(from, fs::directory_options::follow_directory_symlink, bad),
       end;
       !bad && it != end; it.increment(bad)) {
    const fs::path target = mirror / it->path().lexically_relative(from);
    if (it->is_directory(bad)) {
      fs::create_directory(target, bad);
    } else if (!bad) {
      fs::create_symlink(it->path(), target, bad);
    }
    if (bad) return fail(ec::bad_file, fmt::format("{}: {}", target.string(), bad.message()));
  }
  if (bad) return fail(ec::bad_file, fmt::format("{}: {}", model.string(), bad.message()));
  return {};
}

result<void> write_random_weights(const fs::path& model, bool bf16) {
  auto ok = write_part<engine::unet>(model / "unet", "diffusion_pytorch_model.safetensors", bf16,
                                     engine::parse_unet_config);
  if (!ok) return ok;
  ok = write_part<engine::autoencoder_kl>(model / "vae", "diffusion_pytorch_model.safetensors",
                                          bf16, engine::parse_autoencoder_kl_config);
  if (!ok) return ok;
  ok = write_part<engine::clip_text>(model / "text_encoder", "model.safetensors", bf16,
                                     engine::parse_clip_text_config);
  if (!ok) return ok;
  return write_part<engine::safety_checker>(model / "safety_checker", "model.safetensors", bf16,
                                            engine::parse_clip_vision_config);
}

}  // namespace lp::bench
