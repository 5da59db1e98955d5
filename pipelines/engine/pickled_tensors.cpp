// SPDX-License-Identifier: MIT
#include "pipelines/engine/pickled_tensors.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <ATen/ops/from_blob.h>

#include "pipelines/engine/mapped_view.hpp"
#include "pipelines/weights/pickle_archive.hpp"

namespace lp::engine {

namespace {

at::ScalarType type_of(std::string_view dtype) {
  static constexpr std::array<std::pair<std::string_view, at::ScalarType>, 9> types = {{
      {"F32", at::kFloat},
      {"F16", at::kHalf},
      {"BF16", at::kBFloat16},
      {"F64", at::kDouble},
      {"I64", at::kLong},
      {"I32", at::kInt},
      {"I16", at::kShort},
      {"I8", at::kChar},
      {"U8", at::kByte},
  }};
  for (const auto& [name, type] : types) {
    if (name == dtype) return type;
  }
  return at::kBool;
}

at::Tensor view(const std::shared_ptr<pipelines::mapped_file>& file,
                const pipelines::archived_tensor& t) {
  auto* const first = file->data() + t.begin + static_cast<std::uint64_t>(t.offset) * t.width;
  const at::TensorOptions options(type_of(t.dtype));
  if (reinterpret_cast<std::uintptr_t>(first) % t.width == 0) {
    return mapped_view(first, static_cast<std::size_t>(t.reach) * t.width, t.shape, t.stride,
                       type_of(t.dtype), file);
  }
  std::string aligned(first, static_cast<std::size_t>(t.reach) * t.width);
  return at::from_blob(
             aligned.data(), t.shape, t.stride, [](void*) {}, options)
      .clone();
}

}  // namespace

result<stored_tensors> open_pickle(const std::filesystem::path& path, bool ahead) {
  auto archive = pipelines::open_pickle_archive(path, ahead);
  if (!archive) return fail(archive.error());
  stored_tensors out;
  for (auto& [name, t] : archive->tensors) {
    out[name] = {t.dtype, t.shape,
                 [file = archive->file, t = t]() -> result<at::Tensor> { return view(file, t); }};
  }
  return out;
}

}  // namespace lp::engine
