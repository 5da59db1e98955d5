// SPDX-License-Identifier: MIT
// AdamW with clipping and a moving average of the weights, over one flat buffer.
#pragma once

#include <cstdint>
#include <filesystem>

#include <ATen/core/Tensor.h>

#include "pipelines/engine/random_parameters.hpp"
#include "runtime/base/error.hpp"

namespace lp::train {

/// Loshchilov and Hutter, "Decoupled weight decay regularization" (2019). The tensors given are
/// moved into one buffer, and their gradients into another, so that an update is a few passes over
/// memory however many tensors there are. Networks that hold the tensors see every update.
class adamw {
 public:
  struct options {
    double beta1 = 0.9;
    double beta2 = 0.99;  ///< short runs: a shorter memory than the usual 0.999
    double epsilon = 1e-8;
    double weight_decay = 0;
    double clip = 1.0;       ///< largest norm of the whole gradient
    double average = 0.999;  ///< decay of the averaged weights, smaller in the first steps
  };
  adamw(const engine::named_tensors& parameters, const options& o);

  /// One update from the gradients gathered since the last, which are cleared. Returns their norm.
  /// A gradient that is not finite is dropped: it counts as a step, but changes no weight.
  double step(double learning_rate);

  /// Exchanges the weights and their average; a second call takes it back.
  void swap_average();

  std::int64_t steps() const { return steps_; }

  /// Everything a later run needs to go on.
  result<void> save(const std::filesystem::path& file) const;
  /// Takes that state up again. ec::bad_file if the file is of another network.
  result<void> load(const std::filesystem::path& file);

 private:
  void update(std::int64_t first, std::int64_t count, double learning_rate, double scale);

  options options_;
  engine::named_tensors parameters_;
  at::Tensor weights_, gradients_, first_, second_, average_;
  std::int64_t steps_ = 0;
};

/// Warm-up over the first `warm_up` iterations, then `peak` until `cool_down` (a share of the
/// whole) before the end, then a half cosine down to nothing. While it is constant, a run can be
/// stopped and taken up with another end.
double learning_rate(std::int64_t iteration, std::int64_t iterations, double peak,
                     std::int64_t warm_up = 200, double cool_down = 0.35);

}  // namespace lp::train
