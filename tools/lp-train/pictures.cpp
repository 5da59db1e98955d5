// SPDX-License-Identifier: MIT
#include "tools/lp-train/pictures.hpp"

#include <fstream>

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/png.hpp"

namespace lp::train {
namespace {

// [..., 3, H, W] in [-1, 1] -> uint8 [..., H, W, 3].
at::Tensor as_bytes(const at::Tensor& pictures) {
  const auto scaled = (pictures.detach().cpu().clamp(-1, 1) + 1) * 127.5;
  return scaled.round().to(at::kByte).movedim(-3, -1).contiguous();
}

}  // namespace

at::Tensor to_tensor(const std::vector<drawing::scene>& scenes, int side) {
  const auto count = static_cast<std::int64_t>(scenes.size());
  auto out = at::empty({count, side, side, 3}, at::kByte);
  auto* to = out.data_ptr<std::uint8_t>();
  for (const auto& s : scenes) {
    const auto rgb = drawing::draw(s, side);
    to = std::copy(rgb.begin(), rgb.end(), to);
  }
  return out.permute({0, 3, 1, 2}).to(at::kFloat).contiguous() / 127.5 - 1;
}

std::vector<std::uint8_t> to_rgb8(const at::Tensor& picture) {
  const auto bytes = as_bytes(picture);
  const auto* data = bytes.data_ptr<std::uint8_t>();
  return {data, data + bytes.numel()};
}

result<void> save_sheet(const std::filesystem::path& file, const at::Tensor& pictures,
                        int columns) {
  const auto height = pictures.size(2), width = pictures.size(3);
  const auto rows = (pictures.size(0) + columns - 1) / columns;
  constexpr std::int64_t gap = 2;
  auto sheet = at::full({rows * (height + gap) + gap, columns * (width + gap) + gap, 3}, 128,
                        at::TensorOptions(at::kByte));
  const auto bytes = as_bytes(pictures);
  for (std::int64_t i = 0; i < pictures.size(0); ++i) {
    const auto y = i / columns * (height + gap) + gap, x = i % columns * (width + gap) + gap;
    sheet.narrow(0, y, height).narrow(1, x, width).copy_(bytes[i]);
  }
  const auto* data = reinterpret_cast<const char*>(sheet.data_ptr<std::uint8_t>());
  const auto encoded = engine::encode_png({static_cast<std::uint32_t>(sheet.size(1)),
                                           static_cast<std::uint32_t>(sheet.size(0)),
                                           {data, static_cast<std::size_t>(sheet.numel())}});
  if (!encoded) return fail(encoded.error());
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(encoded->data(), static_cast<std::streamsize>(encoded->size()));
  if (!out.flush()) return fail(ec::bad_file, fmt::format("cannot write {}", file.string()));
  return {};
}

}  // namespace lp::train
