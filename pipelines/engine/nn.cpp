// SPDX-License-Identifier: MIT
#include "pipelines/engine/nn.hpp"

#include <cmath>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine::nn {

namespace {

/// The layer's own weight in the dtype that the computation runs in.
at::Tensor as(const at::Tensor& weight, at::ScalarType dtype) {
  return weight.defined() && weight.scalar_type() != dtype ? weight.to(dtype) : weight;
}

/// Products of up to so many multiplications may take another kernel in OpenBLAS than larger ones
/// (its limit is 10^6).
constexpr std::int64_t small_product = 2'000'000;

/// Whether the entries of this input must go through a product one by one to come out as alone.
bool entry_by_entry(const at::Tensor& x, const at::Tensor& w) {
  if (!may_overwrite() || !x.is_cpu() || x.dim() < 2 || x.size(0) < 2) return false;
  if (x.dim() == 2) return true;
  return x.scalar_type() == at::kFloat && x.numel() / x.size(0) * w.size(0) <= small_product;
}

at::Tensor product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) {
  if (!entry_by_entry(x, w)) return at::linear(x, w, b);
  std::vector<at::Tensor> entries;
  entries.reserve(static_cast<std::size_t>(x.size(0)));
  for (std::int64_t i = 0; i < x.size(0); ++i)
    entries.push_back(at::linear(x.narrow(0, i, 1), w, b));
  return at::cat(entries);
}

/// In place, entry by entry.
template <class Op>
at::Tensor each_entry(at::Tensor x, Op op) {
  if (x.dim() == 0 || !x.is_cpu()) {
    op(x);
    return x;
  }
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    auto entry = x.narrow(0, i, 1);
    op(entry);
  }
  return x;
}

at::Tensor activate_fresh(at::Tensor x, activation kind) {
  if (!may_overwrite()) return activate(x, kind);
  switch (kind) {
    case activation::none:
      return x;
    case activation::silu:
      return each_entry(std::move(x), [](at::Tensor& e) { at::silu_(e); });
    case activation::relu:
      return at::relu_(x);
    case activation::gelu:
      return each_entry(std::move(x), [](at::Tensor& e) { at::gelu_(e); });
    case activation::quick_gelu:
      return each_entry(std::move(x), [](at::Tensor& e) { e.mul_(at::sigmoid(e * 1.702)); });
  }
  return x;
}

}  // namespace

bool may_overwrite() {
  return !c10::GradMode::is_enabled();
}

at::Tensor add_to(at::Tensor a, const at::Tensor& b) {
  return may_overwrite() ? a.add_(b) : a + b;
}

result<activation> parse_activation(std::string_view name) {
  if (name == "silu" || name == "swish") return activation::silu;
  if (name == "gelu") return activation::gelu;
  if (name == "quick_gelu") return activation::quick_gelu;
  if (name == "relu") return activation::relu;
  return fail(
      ec::bad_file,
      fmt::format("unknown activation \"{}\"; known: silu, swish, gelu, quick_gelu, relu", name));
}

at::Tensor activate(const at::Tensor& x, activation kind) {
  if (may_overwrite() && x.is_cpu() && x.dim() > 1 && x.size(0) > 1 &&
      (kind == activation::silu || kind == activation::gelu)) {
    auto out = at::empty(x.sizes(), x.options());
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      auto entry = out.narrow(0, i, 1);
      kind == activation::silu ? at::silu_out(entry, x.narrow(0, i, 1))
                               : at::gelu_out(entry, x.narrow(0, i, 1));
    }
    return out;
  }
  switch (kind) {
    case activation::none:
      return x;
    case activation::silu:
      return at::silu(x);
    case activation::relu:
      return at::relu(x);
    case activation::gelu:
      return at::gelu(x);
    case activation::quick_gelu:
      return x * at::sigmoid(x * 1.702);
  }
  return x;
}

linear::linear(const scope& at, std::int64_t in, std::int64_t out, bool with_bias)
    : weight(at.take("weight", {out, in})), name(at.name()) {
  if (with_bias) bias = at.take("bias", {out});
}

linear linear::stored_as_conv(const scope& at, std::int64_t in, std::int64_t out) {
  auto w = at.take("weight", {out, in, 1, 1});
  return linear(std::move(w), at.take("bias", {out}), at.name());
}

at::Tensor linear::operator()(const at::Tensor& x) const {
  const auto dtype = x.scalar_type();
  const auto w = as(weight, dtype);
  auto y = product(x, w.dim() == 4 ? w.flatten(1) : w, as(bias, dtype));
  for (const auto& a : adapters)
    y.add_(product(product(x, as(a.down, dtype), {}), as(a.up, dtype), {}), a.scale);
  return y;
}

conv2d::conv2d(const scope& at, std::int64_t in, std::int64_t out, conv2d_options o)
    : weight(at.take("weight", {out, in, o.kernel, o.kernel})),
      stride(o.stride),
      padding(o.padding),
      name(at.name()) {
  // The order in which tensor cores take it; what the layer gives is in that order, too.
  if (weight.is_cuda()) weight = weight.contiguous(at::MemoryFormat::ChannelsLast);
  if (o.with_bias) bias = at.take("bias", {out});
}

void conv2d::pack() {
  const auto dtype = weight.scalar_type();
  if (!weight.is_cpu() || weight.is_mkldnn() || weight.requires_grad()) return;
  if (!at::hasMKLDNN() || (dtype != at::kFloat && dtype != at::kBFloat16)) return;
  weight = at::mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), {padding, padding},
                                            {stride, stride}, {1, 1}, 1);
}

at::Tensor conv2d::operator()(const at::Tensor& given) const {
  const auto x = as(given, weight.scalar_type());
  auto y = weight.is_mkldnn() ? at::mkldnn_convolution(x, weight, bias, {padding, padding},
                                                       {stride, stride}, {1, 1}, 1)
                              : at::conv2d(x, weight, bias, stride, padding);
  for (const auto& a : adapters) {
    if (!x.is_cpu()) {
      y.add_(at::conv2d(at::conv2d(x, a.down, {}, stride, padding), a.up), a.scale);
      continue;
    }
    // Entry by entry: unlike packed ones, these convolutions depend on the batch.
    for (std::int64_t i = 0; i < x.size(0); ++i) {
      const auto low = at::conv2d(x.narrow(0, i, 1), a.down, {}, stride, padding);
      y.narrow(0, i, 1).add_(at::conv2d(low, a.up), a.scale);
    }
  }
  return as(y, given.scalar_type());
}

group_norm::group_norm(const scope& at, std::int64_t group_count, std::int64_t channels,
                       double epsilon)
    : weight(at.take("weight", {channels})),
      bias(at.take("bias", {channels})),
      groups(group_count),
      eps(epsilon) {}

at::Tensor group_norm::operator()(const at::Tensor& x, activation then) const {
  if (x.is_cuda() && may_overwrite() && (then == activation::none || then == activation::silu)) {
    const auto type = x.scalar_type();
    if (auto y = gpu_group_norm(x, groups, as(weight, type), as(bias, type), eps,
                                then == activation::silu);
        y.defined())
      return y;
  }
  auto y = at::group_norm(as(x, at::kFloat), groups, as(weight, at::kFloat), as(bias, at::kFloat),
                          eps, /*cudnn_enabled=*/false);
  return as(activate_fresh(std::move(y), then), x.scalar_type());
}

layer_norm::layer_norm(const scope& at, std::int64_t size, double epsilon)
    : weight(at.take("weight", {size})), bias(at.take("bias", {size})), eps(epsilon) {}

at::Tensor layer_norm::operator()(const at::Tensor& x) const {
  // There moments are summed and kept in fp32 whatever x is.
  if (x.is_cuda())
    return at::layer_norm(x, weight.sizes(), as(weight, x.scalar_type()), as(bias, x.scalar_type()),
                          eps);
  const auto y = at::layer_norm(as(x, at::kFloat), weight.sizes(), as(weight, at::kFloat),
                                as(bias, at::kFloat), eps);
  return as(y, x.scalar_type());
}

embedding::embedding(const scope& at, std::int64_t count, std::int64_t size)
    : weight(at.take("weight", {count, size})) {}

at::Tensor embedding::operator()(const at::Tensor& ids) const {
  return at::embedding(weight, ids);
}

at::Tensor timestep_embedding(const at::Tensor& times, std::int64_t size, bool flip_sin_to_cos,
                              double freq_shift) {
  const auto half = size / 2;
  const auto in_float = times.options().dtype(at::kFloat);
  const auto exponents =
      at::arange(half, in_float) * (-std::log(10000.0)) / (static_cast<double>(half) - freq_shift);
  const auto angles = times.to(at::kFloat).unsqueeze(-1) * at::exp(exponents);
  const auto sine = at::sin(angles);
  const auto cosine = at::cos(angles);
  auto embedded = flip_sin_to_cos ? at::cat(at::TensorList{cosine, sine}, -1)
                                  : at::cat(at::TensorList{sine, cosine}, -1);
  if (size % 2 != 0) embedded = at::constant_pad_nd(embedded, {0, 1});
  return embedded;
}

}  // namespace lp::engine::nn
