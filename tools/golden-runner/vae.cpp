// SPDX-License-Identifier: MIT
#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/autoencoder_tiny.hpp"
#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/random.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

/// The tiles that the case asks for, if it does.
std::optional<engine::tiling> tiles_of(const golden_case& c) {
  if (!c.params().contains("tile_sample_min_size")) return std::nullopt;
  engine::tiling tiles;
  tiles.sample_size = c.integer("tile_sample_min_size", tiles.sample_size);
  tiles.latent_size = c.integer("tile_latent_min_size", tiles.latent_size);
  tiles.overlap = c.number("tile_overlap_factor", tiles.overlap);
  return tiles;
}

result<answer> run_tiny(const golden_case& c) {
  const auto vae = engine::load_autoencoder_tiny(c.path("model_dir"), at::kFloat);
  if (!vae) return fail(vae.error());
  answer out;
  if (const auto image = c.input("image"); image.defined())
    out.values["latents"] = (*vae)->encode(image);
  if (const auto latents = c.input("latents"); latents.defined())
    out.values["decoded"] = (*vae)->decode(latents);
  return out;
}

}  // namespace

result<answer> run_vae(const golden_case& c) {
  const auto name = golden_case::class_name(c.path("model_dir") / "config.json");
  if (!name) return fail(name.error());
  if (*name == "AutoencoderTiny") return run_tiny(c);
  if (*name != "AutoencoderKL") return answer::not_yet(*name);
  const auto vae = engine::load_autoencoder_kl(c.path("model_dir"), at::kFloat);
  if (!vae) return fail(vae.error());

  const auto tiles = tiles_of(c);
  answer out;
  if (const auto image = c.input("image"); image.defined()) {
    const auto moments = tiles ? (*vae)->encode_tiled(image, *tiles) : (*vae)->encode(image);
    const auto posterior = engine::latent_distribution::from_moments(moments);
    out.values["moments"] = moments;
    out.values["mean"] = posterior.mean;
    out.values["std"] = posterior.std;
    const auto seed = static_cast<std::uint64_t>(c.integer("sample_seed", 0));
    out.values["sample_seeded"] = posterior.sample(engine::seeded_generator(seed));
  }
  if (const auto latents = c.input("latents"); latents.defined()) {
    const auto whole = (*vae)->decode(latents);
    out.values["decoded"] = tiles ? (*vae)->decode_tiled(latents, *tiles) : whole;
    out.values["decoded_untiled"] = whole;
  }
  return out;
}

}  // namespace lp::goldens
