// SPDX-License-Identifier: MIT
#include "tools/lp-train/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "pipelines/engine/safetensors.hpp"

namespace lp::train {

adamw::adamw(const engine::named_tensors& parameters, const options& o)
    : options_(o), parameters_(parameters) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> flat;
  for (const auto& [name, t] : parameters_) flat.push_back(t.detach().reshape(-1));
  weights_ = at::cat(flat);
  gradients_ = at::zeros_like(weights_);
  first_ = at::zeros_like(weights_);
  second_ = at::zeros_like(weights_);
  average_ = weights_.clone();
  std::int64_t at = 0;
  for (auto& [name, t] : parameters_) {
    const auto size = t.numel();
    t.set_data(weights_.narrow(0, at, size).view(t.sizes()));
    t.mutable_grad() = gradients_.narrow(0, at, size).view(t.sizes());
    at += size;
  }
}

double adamw::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  const double norm = gradients_.norm().item<double>();
  ++steps_;
  if (!std::isfinite(norm)) {
    gradients_.zero_();
    return norm;
  }
  const double scale = std::min(1.0, options_.clip / (norm + 1e-6));
  const auto size = weights_.numel();
  if (!weights_.is_cpu()) {
    update(0, size, learning_rate, scale);
    return norm;
  }
  // Pieces that stay in a core's cache through all the passes.
  constexpr std::int64_t piece = 1 << 15;
  at::parallel_for(0, (size + piece - 1) / piece, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::NoGradGuard no_grad_here;
    for (auto i = begin; i < end; ++i) {
      update(i * piece, std::min(piece, size - i * piece), learning_rate, scale);
    }
  });
  return norm;
}

void adamw::update(std::int64_t first, std::int64_t count, double rate, double scale) {
  auto w = weights_.narrow(0, first, count), g = gradients_.narrow(0, first, count);
  auto m = first_.narrow(0, first, count), v = second_.narrow(0, first, count);
  auto a = average_.narrow(0, first, count);
  const auto& o = options_;
  const auto n = static_cast<double>(steps_);
  g.mul_(scale);
  m.mul_(o.beta1).add_(g, 1 - o.beta1);
  v.mul_(o.beta2).addcmul_(g, g, 1 - o.beta2);
  const double correction1 = 1 - std::pow(o.beta1, n), correction2 = 1 - std::pow(o.beta2, n);
  const auto denominator = v.sqrt().mul_(1 / std::sqrt(correction2)).add_(o.epsilon);
  if (o.weight_decay != 0) w.mul_(1 - rate * o.weight_decay);
  w.addcdiv_(m, denominator, -rate / correction1);
  // Early weights are poor: the average's memory grows with the run until it reaches its decay.
  const double decay = std::min(o.average, (1 + n) / (10 + n));
  a.lerp_(w, 1 - decay);
  g.zero_();
}

void adamw::swap_average() {
  const at::NoGradGuard no_grad;
  const auto kept = weights_.clone();
  weights_.copy_(average_);
  average_.copy_(kept);
}

result<void> adamw::save(const std::filesystem::path& file) const {
  return engine::save_safetensors(
      file, {{"weights", weights_}, {"first", first_}, {"second", second_}, {"average", average_}},
      {{"steps", std::to_string(steps_)}});
}

result<void> adamw::load(const std::filesystem::path& file) {
  const at::NoGradGuard no_grad;
  const auto opened = engine::safetensors_file::open(file);
  if (!opened) return fail(opened.error());
  const std::vector<std::pair<const char*, at::Tensor*>> parts{
      {"weights", &weights_}, {"first", &first_}, {"second", &second_}, {"average", &average_}};
  for (const auto& [name, into] : parts) {
    const auto t = (*opened)->load(name);
    if (!t) return fail(t.error());
    if (t->numel() != into->numel()) {
      return fail(ec::bad_file, fmt::format("{}: {} values where the network has {}", file.string(),
                                            t->numel(), into->numel()));
    }
    into->copy_(*t);
  }
  const auto& metadata = (*opened)->metadata();
  const auto steps = metadata.find("steps");
  if (steps == metadata.end()) {
    return fail(ec::bad_file, fmt::format("{}: no \"steps\" in its metadata", file.string()));
  }
  steps_ = std::atoll(steps->second.c_str());
  return {};
}

double learning_rate(std::int64_t iteration, std::int64_t iterations, double peak,
                     std::int64_t warm_up, double cool_down) {
  const auto done = static_cast<double>(iteration);
  const double rise =
      std::min(1.0, (done + 1) / static_cast<double>(std::max<std::int64_t>(1, warm_up)));
  const double left = 1 - done / static_cast<double>(iterations);
  const double fall =
      left >= cool_down ? 1.0
                        : 0.5 - 0.5 * std::cos(std::numbers::pi * std::max(0.0, left) / cool_down);
  return peak * std::min(rise, fall);
}

}  // namespace lp::train
