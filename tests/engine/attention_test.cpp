// SPDX-License-Identifier: MIT
#include "pipelines/engine/attention.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "pipelines/engine/attention_kernel.hpp"
#include "pipelines/engine/nn.hpp"
#include "pipelines/engine/random_parameters.hpp"

namespace lp::engine {
namespace {

/// softmax(q k^T / sqrt(d)) v, in double and written as the formula is.
at::Tensor reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     std::int64_t heads, bool causal) {
  const auto split = [&](const at::Tensor& x) {
    return x.to(at::kDouble).view({x.size(0), x.size(1), heads, -1}).transpose(1, 2);
  };
  auto scores = at::matmul(split(q), split(k).transpose(-1, -2)) /
                std::sqrt(static_cast<double>(q.size(2)) / static_cast<double>(heads));
  if (causal) {
    const auto hidden = at::ones({q.size(1), k.size(1)}, at::kBool).triu(1);
    scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
  }
  return at::matmul(at::softmax(scores, -1), split(v)).transpose(1, 2).reshape(q.sizes());
}

struct shape {
  std::int64_t batch, queries, keys, heads, depth;
  bool causal = false;
};

// NOLINTNEXTLINE(readability-identifier-naming): the name that GoogleTest looks for
void PrintTo(const shape& s, std::ostream* out) {
  *out << s.batch << "x" << s.queries << "x" << s.keys << ", " << s.heads << " heads of " << s.depth
       << (s.causal ? ", causal" : "");
}

class attention_test : public testing::TestWithParam<shape> {
 protected:
  void SetUp() override {
    const auto& s = GetParam();
    at::manual_seed(7);
    q_ = at::randn({s.batch, s.queries, s.heads * s.depth}) * 2;
    k_ = at::randn({s.batch, s.keys, s.heads * s.depth}) * 2;
    v_ = at::randn({s.batch, s.keys, s.heads * s.depth});
    expected_ = reference(q_, k_, v_, s.heads, s.causal);
  }
  double error(const at::Tensor& got) const {
    return (got.to(at::kDouble) - expected_).abs().max().item<double>();
  }
  at::Tensor q_, k_, v_, expected_;
};

TEST_P(attention_test, is_exact_in_fp32) {
  const c10::InferenceMode inference;
  EXPECT_LT(error(attention(q_, k_, v_, GetParam().heads, GetParam().causal)), 2e-5);
}

TEST_P(attention_test, is_exact_with_gradients) {
  const auto q = q_.clone().requires_grad_();
  const auto out = attention(q, k_, v_, GetParam().heads, GetParam().causal);
  EXPECT_LT(error(out), 2e-5);
  out.sum().backward();
  EXPECT_TRUE(at::isfinite(q.grad()).all().item<bool>());
}

TEST_P(attention_test, is_as_good_as_bf16_allows) {
  const c10::InferenceMode inference;
  const auto out = attention(q_.to(at::kBFloat16), k_.to(at::kBFloat16), v_.to(at::kBFloat16),
                             GetParam().heads, GetParam().causal);
  EXPECT_EQ(out.scalar_type(), at::kBFloat16);
  EXPECT_LT(error(out), 0.12);
}

/// One kernel by itself, whatever this processor would choose.
at::Tensor run_kernel(const attention_kernel& kernel, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v, std::int64_t heads, bool causal) {
  auto out = at::empty_like(q);
  const auto depth = q.size(2) / heads;
  const attention_problem problem{q.data_ptr(),
                                  k.data_ptr(),
                                  v.data_ptr(),
                                  out.data_ptr(),
                                  heads,
                                  q.size(1),
                                  k.size(1),
                                  depth,
                                  q.stride(0),
                                  k.stride(0),
                                  v.stride(0),
                                  out.stride(0),
                                  q.stride(1),
                                  k.stride(1),
                                  v.stride(1),
                                  out.stride(1),
                                  1 / std::sqrt(static_cast<float>(depth)),
                                  causal,
                                  q.dtype() == at::kBFloat16};
  const auto bytes = [](std::size_t n) {
    return at::empty({static_cast<std::int64_t>(n)}, at::kByte);
  };
  const auto packed = bytes(kernel.packed_bytes(problem));
  const auto scratch = bytes(kernel.scratch_bytes(problem));
  for (std::int64_t head = 0; head < q.size(0) * heads; ++head) {
    kernel.pack(problem, head, packed.data_ptr());
    for (std::int64_t first = 0; first < q.size(1); first += kernel.rows)
      kernel.run(problem, head, first, packed.data_ptr(), scratch.data_ptr());
  }
  return out;
}

TEST_P(attention_test, every_kernel_is_exact) {
  std::vector<const attention_kernel*> kernels{&portable_attention()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
    kernels.push_back(&avx2_attention());
#endif
  const auto& s = GetParam();
  for (const auto* kernel : kernels) {
    EXPECT_LT(error(run_kernel(*kernel, q_, k_, v_, s.heads, s.causal)), 2e-5);
    const auto half = run_kernel(*kernel, q_.to(at::kBFloat16), k_.to(at::kBFloat16),
                                 v_.to(at::kBFloat16), s.heads, s.causal);
    EXPECT_LT(error(half), 0.12);
  }
}

TEST_P(attention_test, takes_views) {
  const c10::InferenceMode inference;
  const auto apart = [](const at::Tensor& x) { return at::cat({x, x + 1}, -1).chunk(2, -1)[0]; };
  EXPECT_LT(error(attention(apart(q_), apart(k_), apart(v_), GetParam().heads, GetParam().causal)),
            2e-5);
}

INSTANTIATE_TEST_SUITE_P(shapes, attention_test,
                         testing::Values(shape{1, 1, 1, 1, 1}, shape{2, 9, 9, 3, 4, true},
                                         shape{1, 77, 77, 12, 64, true}, shape{2, 65, 77, 8, 40},
                                         shape{1, 1030, 1030, 2, 40}, shape{1, 333, 777, 3, 80},
                                         shape{2, 100, 100, 2, 160}, shape{1, 300, 300, 1, 512},
                                         shape{1, 200, 200, 1, 33}));

TEST(attention, large_scores_do_not_overflow) {
  const c10::InferenceMode inference;
  const auto q = at::full({1, 40, 8}, 60.0);
  const auto k = at::full({1, 50, 8}, 60.0);
  const auto v = at::ones({1, 50, 8});
  EXPECT_TRUE(at::allclose(attention(q, k, v, 1), at::ones({1, 40, 8})));
}

TEST(group_norm, is_accurate_in_bf16) {
  // A mean that is large against the spread is where sums in bf16 fail.
  recording_parameters none;
  nn::group_norm norm(scope(none), 4, 64, 1e-5);
  norm.weight = at::ones({64}).to(at::kBFloat16);
  norm.bias = at::zeros({64}).to(at::kBFloat16);
  at::manual_seed(3);
  const auto x = (at::randn({2, 64, 40, 40}) + 3).to(at::kBFloat16);
  const auto exact = at::silu(at::group_norm(x.to(at::kDouble), 4, {}, {}, 1e-5));
  const c10::InferenceMode inference;
  const auto got = norm(x, nn::activation::silu);
  EXPECT_EQ(got.scalar_type(), at::kBFloat16);
  EXPECT_LT((got.to(at::kDouble) - exact).abs().max().item<double>(), 0.02);
}

TEST(timestep_embedding, follows_the_formula) {
  const auto e = nn::timestep_embedding(at::tensor({0, 10}, at::kLong), 5, true, 0);
  EXPECT_EQ(e.sizes(), (std::vector<std::int64_t>{2, 5}));
  EXPECT_FLOAT_EQ(e[0][0].item<float>(), 1);  // cosine first
  EXPECT_FLOAT_EQ(e[0][2].item<float>(), 0);
  EXPECT_FLOAT_EQ(e[1][0].item<float>(), std::cos(10.0F));
  EXPECT_NEAR(e[1][3].item<float>(), std::sin(10 / std::sqrt(10000.0)), 1e-6);
  EXPECT_FLOAT_EQ(e[1][4].item<float>(), 0);  // the odd column
}

}  // namespace
}  // namespace lp::engine
