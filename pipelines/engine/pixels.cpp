// SPDX-License-Identifier: MIT
#include "pipelines/engine/pixels.hpp"

#include <ATen/TensorOperators.h>

#include "pipelines/engine/cuda/kernels/pixel_value.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine {

namespace {

rgb_image empty_image(const at::Tensor& picture) {
  rgb_image out{
      static_cast<std::uint32_t>(picture.size(3)), static_cast<std::uint32_t>(picture.size(2)), {}};
  out.pixels.resize(static_cast<std::size_t>(picture.size(2) * picture.size(3) * 3));
  return out;
}

/// Plane by plane: where they lie one after the other each is read in a row.
template <class Byte>
rgb_image interleaved(const at::Tensor& picture, Byte byte) {
  auto out = empty_image(picture);
  const auto plain = picture.contiguous();
  const auto positions = picture.size(2) * picture.size(3);
  for (std::int64_t channel = 0; channel < 3; ++channel) {
    const auto* from = plain.data_ptr<float>() + (picture.size(1) == 3 ? channel * positions : 0);
    auto* to = out.pixels.data() + channel;
    for (std::int64_t i = 0; i < positions; ++i) to[i * 3] = static_cast<char>(byte(from[i]));
  }
  return out;
}

}  // namespace

rgb_image to_pixels(const at::Tensor& picture) {
  return interleaved(picture, [](float value) { return pixel_byte(value); });
}

rgb_image decoded_pixels(const at::Tensor& decoded) {
  if (!decoded.is_cuda())
    return interleaved(decoded.to(at::kCPU, at::kFloat),
                       [](float value) { return decoded_byte(value); });
  auto out = empty_image(decoded);
  const auto bytes = gpu_rgb8(decoded);
  out.pixels.assign(static_cast<const char*>(bytes.data_ptr()),
                    static_cast<std::size_t>(bytes.numel()));
  return out;
}

}  // namespace lp::engine
