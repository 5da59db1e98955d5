// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

namespace lp::engine {

/// Why nothing can be computed on a GPU here; empty where there is one.
inline std::string why_no_gpu() {
  int count = 0;
  const cudaError_t asked = cudaGetDeviceCount(&count);
  if (asked != cudaSuccess) return std::string("no GPU: ") + cudaGetErrorString(asked);
  return count == 0 ? "no GPU" : "";
}

/// Memory of the GPU.
class gpu_memory {
 public:
  explicit gpu_memory(std::size_t bytes) : bytes_(bytes) {
    EXPECT_EQ(cudaMalloc(&data_, bytes), cudaSuccess);
  }
  template <class Number>
  explicit gpu_memory(const std::vector<Number>& values)
      : gpu_memory(values.size() * sizeof(Number)) {
    EXPECT_EQ(cudaMemcpy(data_, values.data(), bytes_, cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~gpu_memory() { (void)cudaFree(data_); }
  gpu_memory(const gpu_memory&) = delete;
  gpu_memory& operator=(const gpu_memory&) = delete;

  void* get() const { return data_; }
  /// Waits for all that is queued.
  template <class Number>
  std::vector<Number> values() const {
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    std::vector<Number> out(bytes_ / sizeof(Number));
    EXPECT_EQ(cudaMemcpy(out.data(), data_, bytes_, cudaMemcpyDeviceToHost), cudaSuccess);
    return out;
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

}  // namespace lp::engine
