// SPDX-License-Identifier: MIT
// The loop that all stages run.
#pragma once

#include <functional>
#include <string>

#include "tools/lp-train/optimizer.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {

struct stage {
  std::string name;         ///< of the bar, and of the checkpoint in the work folder
  std::int64_t iterations;  ///< counted over all runs
  std::function<double(std::int64_t iteration)> rate;
  /// The loss of one part of a batch, with its graph.
  std::function<at::Tensor(std::int64_t iteration, int part)> loss;
  /// Called at checkpoints and at the end, while the weights are the averaged ones.
  std::function<result<void>(std::int64_t iteration)> keep;
};

/// Goes on from the stage's checkpoint, where there is one, to the last iteration or to the end of
/// the time that `o` allows.
result<outcome> run_stage(const stage& s, adamw& optimizer, const options& o);

}  // namespace lp::train
