// SPDX-License-Identifier: MIT
#include "pipelines/engine/safetensors.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <stop_token>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ATen/ATen.h>
#include <c10/util/strides.h>
#include <fmt/core.h>

#include "pipelines/engine/mapped_view.hpp"
#include "pipelines/engine/safetensors_header.hpp"
#include "pipelines/weights/foreign_file.hpp"
#include "pipelines/weights/lost_files.hpp"

namespace lp::engine {

struct safetensors_file::mapping {
  mapping(char* at, std::size_t length, const std::filesystem::path& path)
      : data(at), size(length), watch(std::in_place, at, length, path) {}
  mapping(const mapping&) = delete;
  mapping& operator=(const mapping&) = delete;
  ~mapping() {
    reader = {};  // stops and joins before the pages go
    watch.reset();
    ::munmap(data, size);
  }

  char* data;
  std::size_t size;
  std::optional<pipelines::mapping_watch> watch;
  mutable std::jthread reader;
  mutable std::once_flag started;
};

namespace {

constexpr std::uint64_t length_bytes = 8;

tl::unexpected<error> system_failure(const std::filesystem::path& path, std::string_view what) {
  const int code = errno;
  return fail(ec::bad_file, fmt::format("{}: cannot {}: {}", path.string(), what,
                                        std::generic_category().message(code)));
}

/// Closes the descriptor at the end of the scope; a mapping outlives it.
struct descriptor {
  int fd = -1;
  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// Walks the pages in steps that the kernel takes whole: it cuts a larger request down to one
/// read-ahead window, which is 128 KiB unless the disk was tuned.
void advise_in_steps(const std::stop_token& stop, char* data, std::size_t size) {
  constexpr std::size_t step = 128 * 1024;
  for (std::size_t at = 0; at < size && !stop.stop_requested(); at += step) {
    ::madvise(data + at, std::min(step, size - at), MADV_WILLNEED);
  }
}

/// Sign, exponent and mantissa of an 8-bit float. E4M3 (bias 7) has no infinity and NaN only where
/// all bits are set; E5M2 (bias 15) follows IEEE 754. OCP "8-bit floating point" 1.0, section 5.
float widen_f8(std::uint8_t bits, int mantissa_bits) {
  const int exponent_bits = 7 - mantissa_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int exponent = (bits & 0x7F) >> mantissa_bits;
  const bool ieee = mantissa_bits == 2;
  float value = 0;
  if (ieee && exponent == 31) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity()
                          : std::numeric_limits<float>::quiet_NaN();
  } else if (!ieee && (bits & 0x7F) == 0x7F) {
    value = std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissa_bits);
  } else {
    value = std::ldexp(static_cast<float>(mantissa + (1 << mantissa_bits)),
                       exponent - bias - mantissa_bits);
  }
  return (bits & 0x80) != 0 ? -value : value;
}

at::Tensor widen_f8(const at::Tensor& bytes, int mantissa_bits) {
  std::array<float, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = widen_f8(static_cast<std::uint8_t>(i), mantissa_bits);
  }
  at::Tensor out = at::empty(bytes.sizes(), at::kFloat);
  const auto* from = bytes.data_ptr<std::uint8_t>();
  std::transform(from, from + bytes.numel(), out.data_ptr<float>(),
                 [&](std::uint8_t b) { return table[b]; });
  return out;
}

/// From the view of the stored bytes to what load() promises; unchanged for native types.
result<at::Tensor> widen(const at::Tensor& stored, const safetensors_dtype& type) {
  if (type.name == "F8_E4M3") return widen_f8(stored, 3);
  if (type.name == "F8_E5M2") return widen_f8(stored, 2);
  if (type.name == "BOOL") return stored.ne(0);  // any byte but 0 and 1 is no C++ bool
  if (type.name == "U16") return stored.to(at::kInt).bitwise_and(0xFFFF);
  if (type.name == "U32") return stored.to(at::kLong).bitwise_and(std::int64_t{0xFFFFFFFF});
  if (type.name == "U64" && stored.lt(0).any().item<bool>()) {
    return fail(ec::bad_file, "a value above 2^63 - 1 in a U64 tensor");
  }
  return stored;
}

}  // namespace

result<std::shared_ptr<safetensors_file>> safetensors_file::open(
    const std::filesystem::path& path) {
  const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return system_failure(path, "open");
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) return system_failure(path, "stat");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (!S_ISREG(status.st_mode) || size < length_bytes) {
    return fail(ec::bad_file,
                pipelines::told_of_file(
                    path, fmt::format("{} bytes are too few for a safetensors file", size)));
  }
  void* data =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.fd, 0);
  if (data == MAP_FAILED) return system_failure(path, "map");

  std::shared_ptr<safetensors_file> out(new safetensors_file);
  out->path_ = path;
  auto map = std::make_shared<const mapping>(static_cast<char*>(data), size, path);
  std::uint64_t length = 0;
  for (std::size_t i = length_bytes; i-- > 0;) {
    length = length << 8 | static_cast<unsigned char>(map->data[i]);
  }
  if (length > max_safetensors_header || length > size - length_bytes) {
    return fail(ec::bad_file,
                pipelines::told_of_file(
                    path, fmt::format("a header of {} bytes, expected at most {}", length,
                                      std::min(max_safetensors_header, size - length_bytes))));
  }
  out->data_start_ = length_bytes + length;
  auto header =
      parse_safetensors_header({map->data + length_bytes, length}, size - out->data_start_, path);
  if (!header) {
    const auto is = pipelines::what_it_is(path);
    if (is.empty()) return fail(std::move(header.error()));
    return fail(ec::bad_file, fmt::format("{}: it is {}", path.string(), is));
  }
  out->tensors_ = std::move(header->tensors);
  out->metadata_ = std::move(header->metadata);
  out->mapping_ = std::move(map);
  return out;
}

result<at::Tensor> safetensors_file::load(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    return fail(ec::bad_file, fmt::format("{}: has no tensor \"{}\"", path_.string(), name));
  }
  const tensor_info& info = found->second;
  const safetensors_dtype& type = *find_safetensors_dtype(info.dtype);
  char* const at = mapping_->data + data_start_ + info.begin;
  at::Tensor stored;
  if (reinterpret_cast<std::uintptr_t>(at) % type.size == 0 && info.begin < info.end) {
    const auto strides = c10::contiguous_strides(info.shape);
    stored = mapped_view(at, info.end - info.begin, info.shape, strides, type.stored, mapping_);
  } else {
    stored = at::empty(info.shape, type.stored);
    if (info.begin < info.end) std::memcpy(stored.data_ptr(), at, info.end - info.begin);
  }
  auto loaded = widen(stored, type);
  if (!loaded) {
    return fail(ec::bad_file,
                fmt::format("{}: tensor \"{}\": {}", path_.string(), name, loaded.error().message));
  }
  return loaded;
}

void safetensors_file::read_ahead() const {
  std::call_once(mapping_->started, [map = mapping_.get()] {
    // The mapping owns the thread and joins it, so a plain pointer is enough.
    map->reader = std::jthread(
        [map](const std::stop_token& stop) { advise_in_steps(stop, map->data, map->size); });
  });
}

}  // namespace lp::engine
