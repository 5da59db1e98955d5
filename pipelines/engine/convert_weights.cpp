// SPDX-License-Identifier: MIT
#include "pipelines/engine/convert_weights.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/weights/lost_files.hpp"

namespace lp::engine {

result<at::ScalarType> weight_type(std::string_view name) {
  if (name == "fp32") return at::kFloat;
  if (name == "fp16") return at::kHalf;
  if (name == "bf16") return at::kBFloat16;
  return fail(ec::bad_config, fmt::format("dtype \"{}\": fp32, fp16 or bf16", name));
}

result<void> convert_weights(const std::filesystem::path& from, const std::filesystem::path& to,
                             std::string_view dtype) {
  const auto type = weight_type(dtype);
  if (!type) return fail(type.error());
  const auto losses = pipelines::lost_files();
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  if (from.extension() == ".safetensors") {
    const auto file = safetensors_file::open(from);
    if (!file) return fail(file.error());
    metadata = (*file)->metadata();
  }
  const auto stored = open_tensors(from);
  if (!stored) return fail(stored.error());
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& [name, source] : *stored) {
    auto tensor = source.load();
    if (!tensor) return fail(tensor.error());
    // Counters and position ids stay what they are.
    if (at::isFloatingType(tensor->scalar_type())) *tensor = tensor->to(*type);
    tensors.emplace_back(name, std::move(*tensor));
  }
  if (auto saved = save_safetensors(to, tensors, metadata); !saved) return saved;
  return pipelines::none_lost_since(losses);
}

}  // namespace lp::engine
