// SPDX-License-Identifier: MIT
#include "pipelines/engine/cuda/kernels/group_norm.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "pipelines/engine/cuda/kernels/group_norm_phases.hpp"
#include "tests/gpu/gpu_memory.hpp"

namespace lp::engine {
namespace {

namespace phases = group_norm_phases;

struct sizes {
  std::int64_t entries, positions, channels, groups;
};

/// A problem with numbers of its own, and what comes out by the book in fp64.
template <class Number>
struct example {
  sizes of;
  bool silu;
  std::vector<Number> x, weight, bias;
  std::vector<double> expected;

  example(const sizes& s, bool then_silu, float mean) : of(s), silu(then_silu) {
    const auto count = s.entries * s.positions * s.channels;
    for (std::int64_t i = 0; i < count; ++i)
      x.push_back(number(mean + std::sin(static_cast<float>(i) * 0.7F + std::sqrt(i % 997))));
    for (std::int64_t c = 0; c < s.channels; ++c) {
      weight.push_back(number(1 + 0.3F * std::cos(static_cast<float>(c))));
      bias.push_back(number(0.2F * std::sin(static_cast<float>(c))));
    }
    by_the_book();
  }
  static Number number(double value) {
    Number out;
    store(out, static_cast<float>(value));
    return out;
  }

  void by_the_book() {
    expected.resize(x.size());
    const auto size = of.channels / of.groups;
    for (std::int64_t n = 0; n < of.entries; ++n) {
      for (std::int64_t g = 0; g < of.groups; ++g) {
        const auto each = [&](auto visit) {
          for (std::int64_t i = 0; i < of.positions; ++i)
            for (auto c = g * size; c < (g + 1) * size; ++c)
              visit((n * of.positions + i) * of.channels + c, c);
        };
        double sum = 0, squares = 0;
        each([&](auto at, auto) { sum += as_float(x[at]); });
        const double mean = sum / static_cast<double>(of.positions * size);
        each([&](auto at, auto) { squares += std::pow(as_float(x[at]) - mean, 2); });
        const double deviation =
            std::sqrt(squares / static_cast<double>(of.positions * size) + 1e-5);
        each([&](auto at, auto c) {
          const double y =
              (as_float(x[at]) - mean) / deviation * as_float(weight[c]) + as_float(bias[c]);
          expected[at] = silu ? y / (1 + std::exp(-y)) : y;
        });
      }
    }
  }

  void expect(const std::vector<Number>& got, double tolerance) const {
    double largest = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      largest = std::max(
          largest, std::abs(as_float(got[i]) - expected[i]) / std::max(1.0, std::abs(expected[i])));
    EXPECT_LT(largest, tolerance) << of.channels << " channels, " << of.positions << " positions";
  }
};

/// The kernels' phases, one thread after the other.
template <class Number>
std::vector<Number> thread_by_thread(const example<Number>& e, std::int64_t piece, int threads) {
  const phases::plan plan{e.of.positions, e.of.channels, e.of.groups, piece,
                          (e.of.positions + piece - 1) / piece};
  std::vector<float> shared(static_cast<std::size_t>(plan.channels) * 2, NAN);
  std::vector<float> partial(static_cast<std::size_t>(e.of.entries * plan.pieces * plan.groups * 2),
                             NAN);
  std::vector<float> moments(static_cast<std::size_t>(e.of.entries * plan.groups * 2), NAN);
  std::vector<Number> out(e.x.size());
  const auto blocks = [&](auto phase) {
    for (std::int64_t n = 0; n < e.of.entries; ++n)
      for (std::int64_t p = 0; p < plan.pieces; ++p)
        phase([&](auto do_thread) {
          for (int t = 0; t < threads; ++t) do_thread(phases::place{n, p, t, threads});
        });
  };
  blocks([&](auto all_threads) {
    all_threads([&](const auto& at) { sum_channels(plan, at, e.x.data(), shared.data()); });
    all_threads([&](const auto& at) { sum_groups(plan, at, shared.data(), partial.data()); });
  });
  std::vector<float> pairs(static_cast<std::size_t>(threads) * 2, NAN);
  for (std::int64_t n = 0; n < e.of.entries; ++n) {
    for (std::int64_t g = 0; g < plan.groups; ++g) {
      for (int t = 0; t < threads; ++t)
        phases::sum_pieces(plan, n, g, t, threads, partial.data(), pairs.data());
      phases::moments_of(plan, n, g, threads, 1e-5F, e.x.data(), pairs.data(), moments.data());
    }
  }
  blocks([&](auto all_threads) {
    all_threads([&](const auto& at) {
      phases::apply(plan, at, e.x.data(), e.weight.data(), e.bias.data(), moments.data(), e.silu,
                    out.data());
    });
  });
  return out;
}

TEST(group_norm_phases, make_what_the_book_says) {
  for (const auto& s : {sizes{2, 37, 64, 32}, sizes{1, 100, 30, 3}, sizes{3, 5, 8, 8}}) {
    for (const bool silu : {false, true}) {
      const example<float> e(s, silu, 0.5F);
      e.expect(thread_by_thread(e, 8, 32), 2e-5);
      e.expect(thread_by_thread(e, 1000, 7), 2e-5);
      const example<__nv_bfloat16> small(s, silu, 0.5F);
      small.expect(thread_by_thread(small, 16, 32), 8e-3);
    }
  }
}

TEST(group_norm_phases, add_up_many_positions) {
  const example<float> e({1, 4096, 320, 32}, true, 0.5F);
  e.expect(thread_by_thread(e, 10, 64), 2e-5);
}

TEST(group_norm_phases, keep_a_small_deviation_beside_a_large_mean) {
  const example<float> e({1, 256, 32, 4}, false, 1000.0F);
  e.expect(thread_by_thread(e, 64, 32), 1e-3);
}

template <class Number>
std::vector<Number> on_the_gpu(const example<Number>& e, gpu_number type) {
  const gpu_memory x(e.x), weight(e.weight), bias(e.bias);
  gpu_memory out(e.x.size() * sizeof(Number));
  const gpu_group_norm_problem problem{x.get(),     weight.get(), bias.get(),     out.get(),
                                       type,        e.of.entries, e.of.positions, e.of.channels,
                                       e.of.groups, 1e-5F,        e.silu};
  EXPECT_TRUE(takes_group_norm(problem));
  const gpu_memory scratch(static_cast<std::size_t>(group_norm_scratch_bytes(problem)));
  const char* refused = queue_group_norm(problem, scratch.get(), nullptr);
  EXPECT_EQ(refused, nullptr) << refused;
  return out.template values<Number>();
}

TEST(group_norm, on_the_gpu_is_that_of_the_book) {
  if (const auto why = why_no_gpu(); !why.empty()) GTEST_SKIP() << why;
  for (const auto& s : {sizes{2, 4096, 320, 32}, sizes{2, 64, 2560, 32}, sizes{1, 37, 30, 3},
                        sizes{4, 256, 1920, 32}}) {
    for (const bool silu : {false, true}) {
      const example<float> e(s, silu, 0.5F);
      const auto once = on_the_gpu(e, gpu_number::fp32);
      e.expect(once, 5e-5);
      EXPECT_EQ(on_the_gpu(e, gpu_number::fp32), once) << "the same bits each time";
      const example<__half> half(s, silu, 0.5F);
      half.expect(on_the_gpu(half, gpu_number::fp16), 2e-3);
      const example<__nv_bfloat16> small(s, silu, 0.5F);
      small.expect(on_the_gpu(small, gpu_number::bf16), 8e-3);
    }
  }
}

TEST(group_norm, takes_what_fits_a_block) {
  gpu_group_norm_problem p;
  p.entries = 2, p.positions = 64, p.channels = 2560, p.groups = 32;
  EXPECT_TRUE(takes_group_norm(p));
  EXPECT_GT(group_norm_scratch_bytes(p), 0);
  p.channels = 2561;
  EXPECT_FALSE(takes_group_norm(p));
  p.channels = 32 * 1024;
  EXPECT_FALSE(takes_group_norm(p));
  p.channels = 0;
  EXPECT_FALSE(takes_group_norm(p));
}

}  // namespace
}  // namespace lp::engine
