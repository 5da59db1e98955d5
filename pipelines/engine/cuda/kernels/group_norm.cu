// SPDX-License-Identifier: MIT
#include <cuda_runtime_api.h>

#include "pipelines/engine/cuda/kernels/group_norm.hpp"
#include "pipelines/engine/cuda/kernels/group_norm_phases.hpp"

namespace lp::engine {

namespace {

namespace phases = group_norm_phases;

/// What every block may have without asking.
constexpr std::int64_t shared_bytes = 48 << 10;

/// Threads that keep a large GPU busy, and positions that a block takes at least.
constexpr std::int64_t threads_wanted = 1 << 18;
constexpr std::int64_t least_positions = 8;
constexpr int moment_threads = 64;

/// Of a block: a channel each, up to 512.
unsigned threads_of(const gpu_group_norm_problem& p) {
  const auto warps = (p.channels + 31) / 32;
  return static_cast<unsigned>(32 * (warps < 16 ? warps : 16));
}

phases::plan plan_of(const gpu_group_norm_problem& p) {
  const auto blocks = threads_wanted / threads_of(p);
  const auto wanted = (blocks + p.entries - 1) / p.entries;
  auto piece = (p.positions + wanted - 1) / wanted;
  if (piece < least_positions) piece = least_positions;
  return {p.positions, p.channels, p.groups, piece, (p.positions + piece - 1) / piece};
}

__device__ phases::place here() {
  return {blockIdx.y, blockIdx.x, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x)};
}

template <class Number>
__global__ void sum_up(phases::plan p, const Number* x, float* partial) {
  extern __shared__ float shared[];
  phases::sum_channels(p, here(), x, shared);
  __syncthreads();
  phases::sum_groups(p, here(), shared, partial);
}

template <class Number>
__global__ void find_moments(phases::plan p, float eps, const Number* x, const float* partial,
                             float* moments) {
  __shared__ float shared[moment_threads * 2];
  const std::int64_t group = blockIdx.x, entry = blockIdx.y;
  phases::sum_pieces(p, entry, group, static_cast<int>(threadIdx.x), moment_threads, partial,
                     shared);
  __syncthreads();
  if (threadIdx.x == 0)
    phases::moments_of(p, entry, group, moment_threads, eps, x, shared, moments);
}

template <class Number>
__global__ void apply(phases::plan p, const Number* x, const Number* weight, const Number* bias,
                      const float* moments, bool silu, Number* out) {
  phases::apply(p, here(), x, weight, bias, moments, silu, out);
}

std::int64_t partial_floats(const phases::plan& p, std::int64_t entries) {
  return entries * p.pieces * p.groups * 2;
}

template <class Number>
void launch(const gpu_group_norm_problem& p, float* partial, cudaStream_t stream) {
  const auto plan = plan_of(p);
  float* moments = partial + partial_floats(plan, p.entries);
  const dim3 grid(static_cast<unsigned>(plan.pieces), static_cast<unsigned>(p.entries));
  const dim3 groups(static_cast<unsigned>(p.groups), static_cast<unsigned>(p.entries));
  const auto threads = threads_of(p);
  const auto* x = static_cast<const Number*>(p.x);
  sum_up<<<grid, threads, p.channels * 2 * sizeof(float), stream>>>(plan, x, partial);
  find_moments<<<groups, moment_threads, 0, stream>>>(plan, p.eps, x, partial, moments);
  apply<<<grid, threads, 0, stream>>>(plan, x, static_cast<const Number*>(p.weight),
                                      static_cast<const Number*>(p.bias), moments, p.silu,
                                      static_cast<Number*>(p.out));
}

}  // namespace

std::int64_t group_norm_scratch_bytes(const gpu_group_norm_problem& p) {
  const auto floats = partial_floats(plan_of(p), p.entries) + p.entries * p.groups * 2;
  return floats * static_cast<std::int64_t>(sizeof(float));
}

bool takes_group_norm(const gpu_group_norm_problem& p) {
  constexpr std::int64_t most_entries = 65535;  // of a grid's second side
  const auto shared = p.channels * 2 * static_cast<std::int64_t>(sizeof(float));
  return p.entries > 0 && p.entries <= most_entries && p.positions > 0 && p.groups > 0 &&
         p.channels > 0 && p.channels % p.groups == 0 && shared <= shared_bytes;
}

const char* queue_group_norm(const gpu_group_norm_problem& p, void* scratch, void* stream) {
  auto* const partial = static_cast<float*>(scratch);
  auto* const queue = static_cast<cudaStream_t>(stream);
  switch (p.type) {
    case gpu_number::fp32:
      launch<float>(p, partial, queue);
      break;
    case gpu_number::fp16:
      launch<__half>(p, partial, queue);
      break;
    case gpu_number::bf16:
      launch<__nv_bfloat16>(p, partial, queue);
      break;
  }
  const cudaError_t queued = cudaGetLastError();
  return queued == cudaSuccess ? nullptr : cudaGetErrorString(queued);
}

}  // namespace lp::engine
