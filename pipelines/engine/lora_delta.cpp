// SPDX-License-Identifier: MIT
#include "pipelines/engine/lora_delta.hpp"

#include <algorithm>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/kron.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lp::engine {

namespace {

using role = lora_role;

at::Tensor wide(const lora_entry& e, lora_role which, const at::Tensor& like) {
  const auto t = e.at(which);
  return t.defined() ? t.to(like.device(), at::kFloat) : t;
}

at::Tensor rows(const at::Tensor& t) {
  return t.dim() > 2 ? t.flatten(1) : t;
}

/// a b, or with a core t of four dimensions what the Tucker form means: [out, in, k, k].
at::Tensor product(const at::Tensor& t, const at::Tensor& a, const at::Tensor& b) {
  TORCH_CHECK(a.dim() == 2 && b.dim() == 2);
  if (!t.defined()) return at::matmul(a, b);
  TORCH_CHECK(t.dim() == 4);
  return at::einsum("ijkl,jr,ip->prkl", {t, b, a});
}

at::Tensor low_rank(const lora_entry& e, const at::Tensor& like) {
  if (!e.has(role::down)) return {};
  const auto down = rows(whole_down(e).to(like.device(), at::kFloat));
  const auto up = rows(wide(e, role::up, like));
  TORCH_CHECK(up.dim() == 2 && down.dim() == 2 && up.size(1) == down.size(0));
  return at::matmul(up, down);
}

at::Tensor of_products(const lora_entry& e, const at::Tensor& like) {
  if (!e.has(role::product_1a)) return {};
  const auto get = [&](lora_role which) { return wide(e, which, like); };
  return product(get(role::product_t1), get(role::product_1a), get(role::product_1b)) *
         product(get(role::product_t2), get(role::product_2a), get(role::product_2b));
}

at::Tensor of_kronecker(const lora_entry& e, const at::Tensor& like) {
  const auto get = [&](lora_role which) { return wide(e, which, like); };
  auto first = get(role::kron_1), second = get(role::kron_2);
  if (!first.defined()) {
    if (!e.has(role::kron_1a)) return {};
    first = product({}, get(role::kron_1a), get(role::kron_1b));
  }
  if (!second.defined())
    second = product(get(role::kron_t2), get(role::kron_2a), get(role::kron_2b));
  TORCH_CHECK(first.dim() == 2 && (second.dim() == 2 || second.dim() == 4));
  if (second.dim() == 4) first = first.unsqueeze(-1).unsqueeze(-1);
  return at::kron(first, second.contiguous());
}

/// W + change brought to the magnitude that was trained.
at::Tensor of_magnitude(const lora_entry& e, const at::Tensor& changed) {
  auto m = wide(e, role::magnitude, changed);
  const auto outputs = changed.size(0), inputs = changed.size(1);
  const bool by_output = m.dim() < 2 || m.size(0) == outputs;
  TORCH_CHECK(m.numel() == (by_output ? outputs : inputs));
  std::vector<std::int64_t> over, shape(static_cast<std::size_t>(changed.dim()), 1);
  for (std::int64_t d = 0; d < changed.dim(); ++d)
    if (d != (by_output ? 0 : 1)) over.push_back(d);
  shape[by_output ? 0 : 1] = m.numel();
  const auto norm = (changed * changed).sum(over, true).sqrt();
  // A row of zeros has no direction that could be scaled.
  const auto factor = at::where(norm.gt(0), m.reshape(shape) / norm, at::ones_like(norm));
  return changed * factor;
}

/// Both factors of a pair, or neither.
bool pairs(const lora_entry& e, lora_role a, lora_role b) {
  return e.has(a) == e.has(b);
}

}  // namespace

std::int64_t rank_of(const lora_entry& e) {
  for (const auto which : {role::down, role::product_1b, role::kron_1b, role::kron_2b}) {
    if (const auto t = e.at(which); t.defined()) return t.dim() > 0 ? t.size(0) : 0;
  }
  return 0;
}

bool is_complete(const lora_entry& e) {
  const bool low = e.has(role::down);
  const bool products = e.has(role::product_1a);
  const bool kron = e.has(role::kron_1) || e.has(role::kron_1a);
  const bool whole =
      pairs(e, role::down, role::up) && pairs(e, role::product_1a, role::product_1b) &&
      pairs(e, role::product_1a, role::product_2a) &&
      pairs(e, role::product_2a, role::product_2b) &&
      pairs(e, role::product_t1, role::product_t2) && pairs(e, role::kron_1a, role::kron_1b) &&
      pairs(e, role::kron_2a, role::kron_2b) &&
      kron == (e.has(role::kron_2) || e.has(role::kron_2a));
  return whole &&
         (low || products || kron || e.has(role::difference) || e.has(role::bias_difference));
}

bool stays_low_rank(const lora_entry& e) {
  return e.has(role::down) && !e.has(role::magnitude) && !e.has(role::difference) &&
         !e.has(role::product_1a) && !e.has(role::kron_1) && !e.has(role::kron_1a);
}

at::Tensor whole_down(const lora_entry& e) {
  const auto down = e.at(role::down);
  const auto mid = e.at(role::mid);
  if (!mid.defined()) return down;
  const auto inner = rows(down);
  TORCH_CHECK(mid.dim() == 4 && inner.dim() == 2 && mid.size(1) == inner.size(0));
  const auto laid = mid.to(at::kFloat).permute({0, 2, 3, 1});
  return at::matmul(laid, inner.to(at::kFloat)).permute({0, 3, 1, 2}).contiguous();
}

std::int64_t changed_numbers(const lora_entry& e) {
  const auto numel = [&](lora_role which) {
    const auto t = e.at(which);
    return t.defined() ? t.numel() : 0;
  };
  // Of a product a b of two matrices with `rank` in the middle, and of its core.
  const auto of_product = [&](lora_role a, lora_role b, lora_role core) -> std::int64_t {
    const auto rank = e.has(b) && e.at(b).dim() > 0 ? e.at(b).size(0) : 0;
    if (rank < 1) return 0;
    const auto t = e.at(core);
    const auto kernel = t.defined() && t.dim() == 4 ? t.size(2) * t.size(3) : 1;
    return numel(a) / rank * (numel(b) / rank) * kernel;
  };
  auto out = numel(role::difference);
  if (e.has(role::product_1a))
    out = std::max(out, of_product(role::product_1a, role::product_1b, role::product_t1));
  const auto first = e.has(role::kron_1) ? numel(role::kron_1)
                                         : of_product(role::kron_1a, role::kron_1b, role::kron_1);
  const auto second = e.has(role::kron_2) ? numel(role::kron_2)
                                          : of_product(role::kron_2a, role::kron_2b, role::kron_t2);
  out = std::max(out, first * second);
  if (const auto rank = rank_of(e); e.has(role::down) && rank > 0) {
    const auto mid = e.at(role::mid);
    const auto kernel = mid.defined() && mid.dim() == 4 ? mid.size(2) * mid.size(3) : 1;
    out = std::max(out, numel(role::up) / rank * (numel(role::down) / rank) * kernel);
  }
  return out;
}

at::Tensor change_of_weight(const lora_entry& e, const at::Tensor& weight, double strength) {
  if (changed_numbers(e) == 0) return {};
  // Before anything of a file's making is multiplied out.
  TORCH_CHECK(changed_numbers(e) == weight.numel());
  at::Tensor sum;
  const auto add = [&](const at::Tensor& part, double times) {
    if (!part.defined()) return;
    TORCH_CHECK(part.numel() == weight.numel());
    const auto scaled = part.reshape(weight.sizes()) * times;
    sum = sum.defined() ? sum + scaled : scaled;
  };
  auto scale = e.scale * strength;
  if (const auto scalar = e.at(role::scalar); scalar.defined())
    scale *= scalar.to(at::kDouble).item<double>();
  add(low_rank(e, weight), scale);
  add(of_products(e, weight), scale);
  add(of_kronecker(e, weight), scale);
  add(wide(e, role::difference, weight), strength);
  if (!sum.defined() || !e.has(role::magnitude)) return sum;
  const auto plain = weight.to(at::kFloat);
  return of_magnitude(e, plain + sum) - plain;
}

at::Tensor change_of_bias(const lora_entry& e, double strength) {
  at::Tensor sum;
  if (const auto b = e.at(role::bias_difference); b.defined()) sum = b.to(at::kFloat) * strength;
  if (const auto b = e.at(role::up_bias); b.defined()) {
    const auto scaled = b.to(at::kFloat) * (e.scale * strength);
    sum = sum.defined() ? sum + scaled : scaled;
  }
  return sum;
}

std::string shapes_of(const lora_entry& e) {
  std::vector<std::string> out;
  for (const auto& [which, t] : e.tensors)
    if (which != role::alpha && which != role::scalar)
      out.push_back(fmt::format("[{}]", fmt::join(t.sizes(), ", ")));
  return fmt::format("{}", fmt::join(out, " and "));
}

}  // namespace lp::engine
