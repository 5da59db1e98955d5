// SPDX-License-Identifier: MIT
#include "pipelines/engine/mapped_view.hpp"

#include <cstdint>
#include <utility>

#include <ATen/ops/from_blob.h>
#include <sys/mman.h>
#include <unistd.h>

namespace lp::engine {

namespace {

void let_go(void* data, std::size_t bytes) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  const auto first = (begin + page - 1) / page * page;
  const auto last = (begin + bytes) / page * page;
  if (last > first) (void)::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace

at::Tensor mapped_view(void* data, std::size_t bytes, at::IntArrayRef shape, at::IntArrayRef stride,
                       at::ScalarType type, std::shared_ptr<const void> keep) {
  return at::from_blob(
      data, shape, stride, [keep = std::move(keep), bytes](void* from) { let_go(from, bytes); },
      at::TensorOptions(type));
}

}  // namespace lp::engine
