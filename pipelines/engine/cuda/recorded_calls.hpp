// SPDX-License-Identifier: MIT
// A network's calls, those of shapes that come again recorded and played back (CUDA graphs).
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "pipelines/engine/cuda/torch/torch_cuda.hpp"

namespace lp::engine {

class recorded_calls {
 public:
  /// Calls of a shape that are computed as they are before one is recorded: libraries choose their
  /// kernels and take their working memory in them, and what comes once or twice is not worth it.
  static constexpr int plain_calls = 2;
  /// Recorded shapes of a model. Continuous batching makes one for each number of rows.
  static constexpr std::size_t most_recorded = 8;
  /// Shapes that are counted.
  static constexpr std::size_t most_known = 32;

  /// A null recorder records nothing.
  explicit recorded_calls(std::unique_ptr<call_recorder> recorder)
      : recorder_(std::move(recorder)) {}

  /// What `network` gives for `inputs`. Safe from any thread; all calls are of one network.
  at::Tensor operator()(const network_call& network, const std::vector<at::Tensor>& inputs);

  /// Drops all recordings and with them their memory; shapes have to come up again.
  void forget();

  std::size_t recorded() const;

 private:
  /// Sizes and types of all inputs.
  using shape = std::vector<std::int64_t>;
  struct entry {
    shape key;
    int calls = 0;
    std::shared_ptr<recorded_call> recording;
  };

  static shape shape_of(const std::vector<at::Tensor>& inputs);
  std::shared_ptr<recorded_call> recording_for(const network_call& network,
                                               const std::vector<at::Tensor>& inputs);
  entry& find(const shape& key);
  void drop_oldest();

  std::unique_ptr<call_recorder> recorder_;
  mutable std::mutex mutex_;
  std::list<entry> entries_;  ///< the latest used first
};

}  // namespace lp::engine
