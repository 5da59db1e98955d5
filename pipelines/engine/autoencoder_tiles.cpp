// SPDX-License-Identifier: MIT
// Tiled encoding and decoding: bounded memory for any size. Tiles start every (1 - overlap) tile;
// each is blended linearly with the neighbours above and to the left over the overlap, then
// cropped to the stride (the scheme of diffusers' AutoencoderKL).
#include <algorithm>
#include <functional>
#include <vector>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "pipelines/engine/autoencoder_kl.hpp"

namespace lp::engine {

namespace {

/// Blends the last rows or columns (along `dim`) of `before` into the first of `tile`, in place.
void blend(const at::Tensor& before, at::Tensor& tile, std::int64_t extent, std::int64_t dim) {
  extent = std::min({extent, before.size(dim), tile.size(dim)});
  if (extent == 0) return;
  auto share = at::arange(extent, tile.options()) / static_cast<double>(extent);
  if (dim == 2) share = share.unsqueeze(-1);
  const auto old = before.narrow(dim, before.size(dim) - extent, extent);
  auto part = tile.narrow(dim, 0, extent);
  part.copy_(old * (1 - share) + part * share);
}

struct tile_plan {
  std::int64_t side;        ///< of an input tile
  std::int64_t stride;      ///< between input tiles
  std::int64_t blend;       ///< blended length in the output
  std::int64_t out_stride;  ///< what is kept of an output tile
};

at::Tensor run_tiled(const at::Tensor& x, const tile_plan& plan,
                     const std::function<at::Tensor(const at::Tensor&)>& run) {
  std::vector<at::Tensor> above;
  std::vector<at::Tensor> rows;
  for (std::int64_t top = 0; top < x.size(2); top += plan.stride) {
    const auto height = std::min(plan.side, x.size(2) - top);
    std::vector<at::Tensor> tiles;
    std::vector<at::Tensor> kept;
    for (std::int64_t left = 0; left < x.size(3); left += plan.stride) {
      const auto width = std::min(plan.side, x.size(3) - left);
      auto tile = run(x.narrow(2, top, height).narrow(3, left, width));
      if (!above.empty()) blend(above[tiles.size()], tile, plan.blend, 2);
      if (!tiles.empty()) blend(tiles.back(), tile, plan.blend, 3);
      tiles.push_back(tile);
      kept.push_back(tile.narrow(2, 0, std::min(plan.out_stride, tile.size(2)))
                         .narrow(3, 0, std::min(plan.out_stride, tile.size(3))));
    }
    rows.push_back(at::cat(kept, 3));
    above = std::move(tiles);
  }
  return at::cat(rows, 2);
}

tile_plan plan_for(std::int64_t in_side, std::int64_t out_side, double overlap) {
  const auto stride = static_cast<std::int64_t>(static_cast<double>(in_side) * (1 - overlap));
  const auto blended = static_cast<std::int64_t>(static_cast<double>(out_side) * overlap);
  return {in_side, std::max<std::int64_t>(1, stride), blended, out_side - blended};
}

}  // namespace

at::Tensor autoencoder_kl::encode_tiled(const at::Tensor& picture, const tiling& tiles) const {
  if (picture.size(2) <= tiles.sample_size && picture.size(3) <= tiles.sample_size)
    return encode(picture);
  return run_tiled(picture, plan_for(tiles.sample_size, tiles.latent_size, tiles.overlap),
                   [this](const at::Tensor& tile) { return encode(tile); });
}

at::Tensor autoencoder_kl::decode_tiled(const at::Tensor& latents, const tiling& tiles) const {
  if (latents.size(2) <= tiles.latent_size && latents.size(3) <= tiles.latent_size)
    return decode(latents);
  return run_tiled(latents, plan_for(tiles.latent_size, tiles.sample_size, tiles.overlap),
                   [this](const at::Tensor& tile) { return decode(tile); });
}

}  // namespace lp::engine
