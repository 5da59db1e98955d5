// SPDX-License-Identifier: MIT
#include "tools/golden-runner/compare.hpp"

#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lp::goldens {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

std::string index_text(std::int64_t flat, at::IntArrayRef shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t d = shape.size(); d-- > 0;) {
    index[d] = flat % shape[d];
    flat /= shape[d];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

/// |got - expected| as a multiple of the limit.
double share_of(double got, double expected, double limit) {
  if (std::isnan(expected)) return 0;
  if (std::isnan(got)) return infinite;
  if (got == expected) return 0;  // also where both are infinite
  const double off = std::abs(got - expected);
  return limit > 0 && std::isfinite(off) ? off / limit : infinite;
}

}  // namespace

distance compare(const at::Tensor& got, const expectation& expected) {
  if (!got.defined()) return {infinite, infinite, "was not computed"};
  const at::Tensor& want = expected.value;
  if (got.sizes() != want.sizes()) {
    return {infinite, infinite,
            fmt::format("has shape [{}], expected [{}]", fmt::join(got.sizes(), ", "),
                        fmt::join(want.sizes(), ", "))};
  }
  // Every integer in use is below 2^53, where a double is exact.
  const at::Tensor g = got.to(at::kCPU).to(at::kDouble).contiguous();
  const at::Tensor w = want.to(at::kDouble).contiguous();
  const bool exact = !want.is_floating_point();
  const double* gp = g.data_ptr<double>();
  const double* wp = w.data_ptr<double>();
  distance out;
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    const double limit = exact ? 0 : expected.atol + expected.rtol * std::abs(wp[i]);
    const double share = share_of(gp[i], wp[i], limit);
    if (share <= out.share) continue;
    const double off = std::abs(gp[i] - wp[i]);
    out = {std::isnan(off) ? infinite : off, share, index_text(i, w.sizes())};
  }
  return out;
}

}  // namespace lp::goldens
