// SPDX-License-Identifier: MIT
#include "pipelines/weights/weights_summary.hpp"

#include "pipelines/weights/part_weights.hpp"

namespace lp::pipelines {

namespace fs = std::filesystem;

void weights_summary::add(const weights_summary& other) {
  tensors += other.tensors;
  parameters += other.parameters;
  bytes += other.bytes;
  for (const auto& [dtype, count] : other.by_dtype) by_dtype[dtype] += count;
}

void weights_summary::add(const named_tensor& tensor) {
  ++tensors;
  parameters += tensor.parameters;
  bytes += tensor.bytes;
  by_dtype[tensor.dtype] += tensor.parameters;
}

result<weights_summary> summarise_file(const fs::path& file) {
  const auto tensors = read_tensor_names(file);
  if (!tensors) return fail(tensors.error());
  weights_summary out;
  for (const auto& [name, tensor] : *tensors) out.add(tensor);
  return out;
}

result<weights_summary> summarise_folder(const fs::path& folder) {
  const auto found = find_weights(folder);
  if (!found) return weights_summary{};
  if (found->index.empty()) return summarise_file(found->file);
  const auto shards = read_shards(found->index);
  if (!shards) return fail(shards.error());
  weights_summary out;
  for (const auto& [file, names] : *shards) {
    const auto one = summarise_file(folder / file);
    if (!one) return fail(one.error());
    out.add(*one);
  }
  return out;
}

}  // namespace lp::pipelines
