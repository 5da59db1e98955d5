// SPDX-License-Identifier: MIT
#include "pipelines/engine/guarded.hpp"

#include <new>
#include <string_view>

#include <c10/util/Exception.h>

#include "pipelines/engine/part.hpp"

namespace lp::engine {

namespace {

bool is_lack_of_memory(const std::exception& thrown, std::string_view text) {
  if (dynamic_cast<const std::bad_alloc*>(&thrown) != nullptr) return true;
  if (dynamic_cast<const c10::OutOfMemoryError*>(&thrown) != nullptr) return true;  // of a GPU
  // The CPU's; CUDA's own; its libraries'; oneDNN's for working space that was not to be had.
  for (const auto* words : {"DefaultCPUAllocator", "out of memory", "STATUS_ALLOC_FAILED",
                            "could not create a memory", "could not execute a primitive"}) {
    if (text.find(words) != text.npos) return true;
  }
  return false;
}

}  // namespace

error error_of(const std::exception& thrown) {
  if (dynamic_cast<const part_is_gone*>(&thrown) != nullptr) {
    return {ec::load_failed, thrown.what(), {}};
  }
  // libtorch's own what() carries a backtrace.
  const auto* torch = dynamic_cast<const c10::Error*>(&thrown);
  const std::string text = torch != nullptr ? torch->what_without_backtrace() : thrown.what();
  const auto line = text.substr(0, text.find('\n'));
  if (is_lack_of_memory(thrown, text))
    return {ec::out_of_memory, "Out of memory error. Try reducing output image resolution.", {}};
  return {ec::pipeline_failed, "the model could not compute this: " + line, {}};
}

}  // namespace lp::engine
