// SPDX-License-Identifier: MIT
#include "pipelines/engine/tensor_memory.hpp"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <malloc.h>
#include <torch/version.h>

#include "pipelines/engine/block_heap.hpp"

namespace lp::engine {

namespace {

/// Below it malloc() is as good: such memory stays with the process and is used again.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t large = SIZE_MAX;  // the sanitizer watches malloc()'s blocks alone
#else
constexpr std::size_t large = std::size_t{1} << 20;
#endif
/// About what a call of a large UNet frees and needs again.
constexpr std::size_t kept_idle = std::size_t{64} << 20;
/// As libtorch's own allocator: oneDNN and vector code want it.
constexpr std::size_t alignment = 64;

/// Lives as long as the process: tensors may die after any static object.
struct book {
  block_heap heap{kept_idle};
  std::atomic<std::uint64_t> in_use{0};
  std::atomic<std::uint64_t> peak{0};
  std::atomic<std::uint64_t> limit{0};
};

book& the_book() {
  static auto* const b = new book;
  return *b;
}

void count(book& b, std::uint64_t size) {
  const auto now = b.in_use.fetch_add(size, std::memory_order_relaxed) + size;
  auto peak = b.peak.load(std::memory_order_relaxed);
  while (now > peak && !b.peak.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

void release(void* block) {
  if (block == nullptr) return;
  auto& b = the_book();
  auto size = b.heap.free(block);
  if (size == 0) {
    size = ::malloc_usable_size(block);
    std::free(block);
  }
  // Blocks from before use_tensor_memory() were never counted.
  auto held = b.in_use.load(std::memory_order_relaxed);
  while (!b.in_use.compare_exchange_weak(held, held > size ? held - size : 0,
                                         std::memory_order_relaxed)) {
  }
}

void* obtain(book& b, std::size_t size) {
  const auto limit = b.limit.load(std::memory_order_relaxed);
  TORCH_CHECK(limit == 0 || b.in_use.load(std::memory_order_relaxed) + size <= limit,
              "out of memory: ", size, " bytes on top of ", b.in_use.load(),
              " are more than the limit of ", limit);
  void* block = nullptr;
  if (size >= large) {
    block = b.heap.allocate(size);
    if (block == nullptr) {
      b.heap.trim();
      block = b.heap.allocate(size);
    }
    size = (size + 4095) / 4096 * 4096;  // what freeing will say
  } else if (::posix_memalign(&block, alignment, size) == 0) {
    size = ::malloc_usable_size(block);
  } else {
    block = nullptr;
  }
  TORCH_CHECK(block != nullptr, "out of memory: the system has no ", size, " bytes");
  count(b, size);
  return block;
}

c10::DataPtr obtain_owned(std::size_t size) {
  void* const block = size == 0 ? nullptr : obtain(the_book(), size);
  return {block, block, &release, c10::Device(c10::DeviceType::CPU)};
}

class counted_allocator final : public c10::Allocator {
 public:
#if TORCH_VERSION_MAJOR >= 2
  c10::DataPtr allocate(std::size_t size) override {
    return obtain_owned(size);
  }
  void copy_data(void* to, const void* from, std::size_t size) const override {
    default_copy_data(to, from, size);
  }
#else
  c10::DataPtr allocate(std::size_t size) const override {
    return obtain_owned(size);
  }
#endif
  c10::DeleterFnPtr raw_deleter() const override {
    return &release;
  }
};

}  // namespace

void use_tensor_memory() {
  static std::once_flag once;
  std::call_once(once, [] {
    the_book();
    c10::SetCPUAllocator(new counted_allocator, 1);
  });
}

tensor_memory_figures tensor_memory() {
  const auto& b = the_book();
  return {b.in_use.load(), b.peak.load()};
}

void reset_tensor_memory_peak() {
  auto& b = the_book();
  b.peak = b.in_use.load();
}

void limit_tensor_memory(std::uint64_t bytes) {
  the_book().limit = bytes;
}

void trim_tensor_memory() {
  the_book().heap.trim();
  ::malloc_trim(0);
}

}  // namespace lp::engine
