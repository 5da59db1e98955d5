// SPDX-License-Identifier: MIT
#include "pipelines/engine/autoencoder_stripes.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace lp::engine::stripes {

namespace {

/// Of a stripe; what is held of it at once is about eight times as much.
constexpr std::int64_t bytes_at_once = std::int64_t{8} << 20;

/// Rows [begin, end) of a result.
struct stripe {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

bool can_be_cut(const at::Tensor& x, const nn::conv2d& conv) {
  const auto type = conv.weight.scalar_type();
  return nn::may_overwrite() && x.is_cpu() && x.dim() == 4 && x.size(0) == 1 &&
         x.scalar_type() == at::kFloat && (type == at::kFloat || type == at::kBFloat16) &&
         !conv.weight.is_mkldnn() && conv.adapters.empty();
}

/// The stripes of a result [1, channels, height, width] made of `from` channels; empty: leave it
/// whole.
std::vector<stripe> cut(std::int64_t from, std::int64_t channels, std::int64_t height,
                        std::int64_t width) {
  const auto rows = rows_at_once(std::max(from, channels), width);
  std::vector<stripe> out;
  if (rows >= height) return out;
  for (std::int64_t at = 0; at < height; at += rows)
    out.push_back({at, std::min(at + rows, height)});
  return out;
}

/// What a norm comes to once the plane's statistics are known: x * scale + shift by channel.
struct known_norm {
  known_norm(const nn::group_norm& norm, const at::Tensor& x) {
    const auto [variance, mean] =
        at::var_mean(x.reshape({norm.groups, -1}), at::IntArrayRef{1}, /*unbiased=*/false);
    const auto by_channel = [&](const at::Tensor& of_group) {
      return of_group.repeat_interleave(x.size(1) / norm.groups).view({1, -1, 1, 1});
    };
    const auto of_channel = [](const at::Tensor& t) {
      return t.to(at::kFloat).view({1, -1, 1, 1});
    };
    scale = by_channel(at::rsqrt(variance + norm.eps)) * of_channel(norm.weight);
    shift = of_channel(norm.bias) - by_channel(mean) * scale;
  }
  at::Tensor scale, shift;
};

/// Rows [begin, end) of a convolution's input, zero beyond the plane's edges; normalised and
/// activated first where there is a norm.
at::Tensor input_rows(const at::Tensor& x, std::int64_t begin, std::int64_t end,
                      const known_norm* norm, std::int64_t zeros_right = 0) {
  const auto first = std::max<std::int64_t>(begin, 0), last = std::min(end, x.size(2));
  auto rows = x.narrow(2, first, last - first);
  if (norm != nullptr) {
    rows = at::addcmul(norm->shift, rows, norm->scale);
    at::silu_(rows);
  }
  if (first == begin && last == end && zeros_right == 0) return rows;
  return at::constant_pad_nd(rows, {0, zeros_right, first - begin, end - last});
}

/// Of rows that bring their own padding above and below.
at::Tensor run(const nn::conv2d& conv, const at::Tensor& rows) {
  const auto type = conv.weight.scalar_type();
  return at::conv2d(rows.to(type), conv.weight, conv.bias,
                    at::IntArrayRef{conv.stride, conv.stride}, at::IntArrayRef{0, conv.padding})
      .to(rows.scalar_type());
}

at::Tensor plane(const nn::conv2d& conv, std::int64_t height, std::int64_t width) {
  return at::empty({1, conv.weight.size(0), height, width}, at::TensorOptions(at::kFloat));
}

void put(const at::Tensor& plane, const stripe& s, const at::Tensor& rows) {
  plane.narrow(2, s.begin, s.size()).copy_(rows);
}

/// A 3x3 convolution that keeps the size.
at::Tensor same_size(const nn::conv2d& conv, const at::Tensor& x, const known_norm* norm,
                     const std::vector<stripe>& all) {
  auto out = plane(conv, x.size(2), x.size(3));
  for (const auto& s : all) put(out, s, run(conv, input_rows(x, s.begin - 1, s.end + 1, norm)));
  return out;
}

}  // namespace

std::int64_t rows_at_once(std::int64_t channels, std::int64_t width) {
  const auto row = channels * width * static_cast<std::int64_t>(sizeof(float));
  return std::max<std::int64_t>(8, bytes_at_once / std::max<std::int64_t>(row, 1) / 2 * 2);
}

at::Tensor convolve(const nn::conv2d& conv, const at::Tensor& x) {
  if (!can_be_cut(x, conv) || conv.padding != 1 || conv.stride != 1) return conv(x);
  const auto all = cut(x.size(1), conv.weight.size(0), x.size(2), x.size(3));
  return all.empty() ? conv(x) : same_size(conv, x, nullptr, all);
}

at::Tensor convolve(const nn::group_norm& norm, const nn::conv2d& conv, const at::Tensor& x) {
  const auto whole = [&] { return conv(norm(x, nn::activation::silu)); };
  if (!can_be_cut(x, conv) || conv.padding != 1 || conv.stride != 1) return whole();
  const auto all = cut(x.size(1), conv.weight.size(0), x.size(2), x.size(3));
  if (all.empty()) return whole();
  const known_norm known(norm, x);
  return same_size(conv, x, &known, all);
}

at::Tensor residual(const resnet_block& b, const at::Tensor& x) {
  if (!can_be_cut(x, b.conv1) || b.time_emb_proj) return b(x, {});
  const auto all = cut(x.size(1), b.conv1.weight.size(0), x.size(2), x.size(3));
  if (all.empty()) return b(x, {});
  const auto h = [&] {
    const known_norm norm(b.norm1, x);
    return same_size(b.conv1, x, &norm, all);
  }();
  const known_norm norm(b.norm2, h);
  // The result takes h's place; the row above a stripe is kept from before it was overwritten.
  auto above = at::zeros({1, h.size(1), 1, h.size(3)}, h.options());
  for (const auto& s : all) {
    const auto in = at::cat({above, input_rows(h, s.begin, s.end + 1, &norm)}, 2);
    above = in.narrow(2, s.size(), 1).clone();
    auto out = run(b.conv2, in);
    const auto skipped = x.narrow(2, s.begin, s.size());
    out.add_(b.conv_shortcut ? run(*b.conv_shortcut, skipped) : skipped);
    put(h, s, out);
  }
  return h;
}

at::Tensor double_size(const upsample& layer, const at::Tensor& x) {
  const auto height = 2 * x.size(2), width = 2 * x.size(3);
  if (!can_be_cut(x, layer.conv)) return layer(x);
  const auto all = cut(x.size(1), layer.conv.weight.size(0), height, width);
  if (all.empty()) return layer(x);
  auto out = plane(layer.conv, height, width);
  for (const auto& s : all) {
    // Stripes begin at even rows: a row more of the small plane on either side is two of the large
    // one, of which one is needed.
    const auto small = input_rows(x, s.begin / 2 - 1, (s.end + 1) / 2 + 1, nullptr);
    const auto large = at::upsample_nearest2d(small, at::IntArrayRef{2 * small.size(2), width});
    put(out, s, run(layer.conv, large.narrow(2, 1, s.size() + 2)));
  }
  return out;
}

at::Tensor halve_size(const downsample& layer, const at::Tensor& x) {
  if (!can_be_cut(x, layer.conv) || !layer.asymmetric) return layer(x);
  const auto height = x.size(2) / 2, width = x.size(3) / 2;
  // A stripe of the input is twice as high and wide as one of the result.
  const auto all = cut(4 * x.size(1), layer.conv.weight.size(0), height, width);
  if (all.empty()) return layer(x);
  auto out = plane(layer.conv, height, width);
  for (const auto& s : all)
    put(out, s, run(layer.conv, input_rows(x, 2 * s.begin, 2 * s.end + 1, nullptr, 1)));
  return out;
}

}  // namespace lp::engine::stripes
