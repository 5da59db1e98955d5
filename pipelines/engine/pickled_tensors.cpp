// SPDX-License-Identifier: MIT
#include "pipelines/engine/pickled_tensors.hpp"

#include <cstdint>
#include <memory>
#include <string>

#include <ATen/Functions.h>

#include "pipelines/engine/mapped_view.hpp"
#include "pipelines/engine/safetensors_header.hpp"
#include "pipelines/weights/pickle_archive.hpp"

namespace lp::engine {

namespace {

at::Tensor view(const std::shared_ptr<pipelines::mapped_file>& file,
                const pipelines::archived_tensor& t) {
  auto* const first = file->data() + t.begin + static_cast<std::uint64_t>(t.offset) * t.width;
  const auto bytes = static_cast<std::size_t>(t.reach) * t.width;
  const auto& type = *find_safetensors_dtype(t.dtype);
  at::Tensor stored;
  if (reinterpret_cast<std::uintptr_t>(first) % t.width == 0) {
    stored = mapped_view(first, bytes, t.shape, t.stride, type.stored, file);
  } else {
    std::string aligned(first, bytes);
    const at::TensorOptions options(type.stored);
    stored = at::from_blob(
                 aligned.data(), t.shape, t.stride, [](void*) {}, options)
                 .clone();
  }
  return type.loaded == at::kBool ? stored.ne(0) : stored;  // any byte but 0 and 1 is no C++ bool
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
