// SPDX-License-Identifier: MIT
#include "pipelines/engine/tensor_memory.hpp"

#include <cstring>
#include <random>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "pipelines/engine/block_heap.hpp"
#include "pipelines/engine/guarded.hpp"

namespace lp::engine {
namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

TEST(block_heap, keeps_blocks_apart) {
  block_heap heap(4 * mib);
  std::mt19937 random(7);
  struct block {
    unsigned char* at;
    std::size_t size;
    unsigned char mark;
  };
  std::vector<block> held;
  for (int i = 0; i < 2000; ++i) {
    if (held.size() > 30 || (!held.empty() && random() % 2 == 0)) {
      std::swap(held[random() % held.size()], held.back());
      const auto b = held.back();
      held.pop_back();
      for (std::size_t j = 0; j < b.size; j += 4099) ASSERT_EQ(b.at[j], b.mark);
      EXPECT_EQ(b.at[b.size - 1], b.mark);
      EXPECT_GE(heap.free(b.at), b.size);
      continue;
    }
    const std::size_t size = 1 + random() % (random() % 10 == 0 ? 90 * mib : 3 * mib);
    auto* at = static_cast<unsigned char*>(heap.allocate(size));
    ASSERT_NE(at, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(at) % 4096, 0U);
    const auto mark = static_cast<unsigned char>(i);
    for (std::size_t j = 0; j < size; j += 4099) at[j] = mark;
    at[size - 1] = mark;
    held.push_back({at, size, mark});
  }
  for (const auto& b : held) heap.free(b.at);
  EXPECT_EQ(heap.in_use(), 0U);
  EXPECT_LE(heap.idle(), 4 * mib);
  heap.trim();
  EXPECT_EQ(heap.idle(), 0U);
}

TEST(block_heap, uses_freed_memory_again) {
  block_heap heap(64 * mib);
  void* const first = heap.allocate(3 * mib);
  heap.free(first);
  EXPECT_EQ(heap.allocate(2 * mib), first);
  EXPECT_EQ(heap.in_use(), 2 * mib);
}

TEST(block_heap, knows_its_own_blocks) {
  block_heap heap(0);
  auto* const block = static_cast<char*>(heap.allocate(mib));
  int other = 0;
  EXPECT_EQ(heap.free(&other), 0U);
  EXPECT_EQ(heap.free(block + 4096), 0U) << "the middle of a block is none";
  EXPECT_EQ(heap.free(block), mib);
  EXPECT_EQ(heap.free(block), 0U) << "freed before";
  EXPECT_EQ(heap.allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(heap.allocate(std::size_t{1} << 60), nullptr);
}

TEST(tensor_memory, counts_tensors_large_and_small) {
  use_tensor_memory();
  reset_tensor_memory_peak();
  const auto before = tensor_memory().in_use;
  for (const std::int64_t size : {1000, 100'000, 10'000'000}) {
    const auto t = at::ones({size});
    const auto held = tensor_memory().in_use - before;
    EXPECT_GE(held, t.nbytes());
    EXPECT_LT(held, t.nbytes() + 8192);
  }
  EXPECT_EQ(tensor_memory().in_use, before);
  EXPECT_GE(tensor_memory().peak, before + 40'000'000);
}

TEST(tensor_memory, a_limit_is_an_error_of_that_name_and_passes) {
  use_tensor_memory();
  limit_tensor_memory(tensor_memory().in_use + 4 * mib);
  const auto make = [](std::int64_t bytes) {
    return guarded([&]() -> result<at::Tensor> { return at::empty({bytes}, at::kByte); });
  };
  const auto large = make(5 * mib);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ec::out_of_memory);
  EXPECT_TRUE(make(3 * mib));
  limit_tensor_memory(0);
  EXPECT_TRUE(make(5 * mib));
}

}  // namespace
}  // namespace lp::engine
