// SPDX-License-Identifier: MIT
#include <map>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "pipelines/engine/random.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

namespace json = boost::json;

constexpr std::int64_t randint_high = 1000;  // exclusive; the cases' convention

/// "seq_SEED_AxBxC" for every shape of the list, in order from one generator.
void draw_sequence(std::int64_t seed, const json::array& shapes, tensors& out) {
  auto generator = engine::seeded_generator(static_cast<std::uint64_t>(seed));
  for (const json::value& value : shapes) {
    const auto shape = json::value_to<std::vector<std::int64_t>>(value);
    const std::string name = fmt::format("seq_{}_{}", seed, fmt::join(shape, "x"));
    out[name] = engine::seeded_randn(shape, generator);
  }
}

/// One draw from a fresh generator; undefined for a way of drawing that is not known.
at::Tensor draw(std::string_view what, std::int64_t seed, at::IntArrayRef shape) {
  auto generator = engine::seeded_generator(static_cast<std::uint64_t>(seed));
  if (what == "randn") return engine::seeded_randn(shape, generator);
  if (what == "randn_f64") return engine::seeded_randn(shape, generator, at::kDouble);
  if (what == "randn_f16") return engine::seeded_randn(shape, generator, at::kHalf);
  if (what == "randn_bf16") return engine::seeded_randn(shape, generator, at::kBFloat16);
  if (what == "rand") return at::rand(shape, generator);
  if (what == "rand_f64") return at::rand(shape, generator, at::kDouble);
  if (what == "randint") return at::randint(0, randint_high, shape, generator, at::kLong);
  if (what == "randperm") return at::randperm(shape[0], generator, at::kLong);
  return {};
}

}  // namespace

result<answer> run_rng(const golden_case& c) {
  answer out;
  const json::value* shapes = c.params().if_contains("shapes");
  for (const std::int64_t seed : c.integers("seeds")) {
    if (shapes != nullptr) draw_sequence(seed, shapes->as_array(), out.values);
    const std::string suffix = fmt::format("_{}", seed);
    for (const auto& [name, expected] : c.expected()) {
      if (out.values.count(name) != 0 || !name.ends_with(suffix)) continue;
      const auto what = std::string_view(name).substr(0, name.size() - suffix.size());
      const auto drawn = draw(what, seed, expected.value.sizes());
      if (drawn.defined()) out.values[name] = drawn;
    }
  }
  return out;
}

}  // namespace lp::goldens
