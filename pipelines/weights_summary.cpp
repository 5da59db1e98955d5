// SPDX-License-Identifier: MIT
#include "pipelines/weights_summary.hpp"

#include <algorithm>
#include <vector>

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

result<weights_summary> summarise_safetensors(const fs::path& file) {
  const auto tensors = read_safetensors_names(file);
  if (!tensors) return fail(tensors.error());
  weights_summary out;
  for (const auto& [name, tensor] : *tensors) out.add(tensor);
  return out;
}

result<weights_summary> summarise_folder(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code bad;
  for (fs::directory_iterator it(folder, bad), end; !bad && it != end; it.increment(bad)) {
    if (it->path().extension() == ".safetensors") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  weights_summary out;
  for (const fs::path& file : files) {
    const auto one = summarise_safetensors(file);
    if (!one) return fail(one.error());
    out.add(*one);
  }
  return out;
}

}  // namespace lp::pipelines
