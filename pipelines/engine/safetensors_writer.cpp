// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <boost/json.hpp>

#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/safetensors_header.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::engine {
namespace {

namespace json = boost::json;

struct entry {
  std::string name;
  const safetensors_dtype* type;
  at::Tensor tensor;  ///< on the CPU and contiguous
};

tl::unexpected<error> system_failure(const std::filesystem::path& path, std::string_view what) {
  const int code = errno;
  return fail(ec::bad_file, fmt::format("{}: cannot {}: {}", path.string(), what,
                                        std::generic_category().message(code)));
}

result<std::vector<entry>> collect(const std::filesystem::path& path,
                                   const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::vector<entry> out;
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    if (!names.insert(name).second) {
      return fail(ec::bad_file,
                  fmt::format("{}: tensor \"{}\" is given twice", path.string(), name));
    }
    const auto* type = safetensors_dtype_of(tensor.scalar_type());
    if (type == nullptr || !is_utf8(name) || name == "__metadata__") {
      return fail(ec::bad_file,
                  fmt::format("{}: tensor \"{}\" has a {} that the format cannot hold",
                              path.string(), name, type == nullptr ? "dtype" : "name"));
    }
    out.push_back({name, type, tensor.detach().to(at::kCPU).contiguous()});
  }
  // Wide types first: with a padded header every tensor then lies aligned.
  std::sort(out.begin(), out.end(), [](const entry& a, const entry& b) {
    return a.type->size != b.type->size ? a.type->size > b.type->size : a.name < b.name;
  });
  return out;
}

std::string header_of(const std::vector<entry>& entries,
                      const std::map<std::string, std::string>& metadata) {
  json::object header;
  if (!metadata.empty()) {
    json::object& texts = header["__metadata__"].emplace_object();
    for (const auto& [key, value] : metadata) texts[key] = value;
  }
  std::uint64_t at = 0;
  for (const entry& e : entries) {
    const std::uint64_t end = at + static_cast<std::uint64_t>(e.tensor.numel()) * e.type->size;
    json::array shape;
    for (const std::int64_t d : e.tensor.sizes()) shape.emplace_back(d);
    header[e.name] = {{"dtype", json::string_view(e.type->name)},
                      {"shape", std::move(shape)},
                      {"data_offsets", json::array{at, end}}};
    at = end;
  }
  std::string text = json::serialize(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string out;
  for (std::uint64_t left = text.size(), i = 0; i < 8; ++i, left >>= 8) {
    out.push_back(static_cast<char>(left & 0xFF));
  }
  return out + text;
}

bool write_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const auto wrote = ::write(fd, data, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    data += wrote;
    size -= static_cast<std::size_t>(wrote);
  }
  return true;
}

bool write_file(int fd, const std::string& header, const std::vector<entry>& entries) {
  if (!write_all(fd, header.data(), header.size())) return false;
  for (const entry& e : entries) {
    const auto size = static_cast<std::size_t>(e.tensor.numel()) * e.type->size;
    if (!write_all(fd, static_cast<const char*>(e.tensor.data_ptr()), size)) return false;
  }
  return ::fsync(fd) == 0;
}

}  // namespace

result<void> save_safetensors(const std::filesystem::path& path,
                              const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  const auto entries = collect(path, tensors);
  if (!entries) return fail(entries.error());
  const std::string header = header_of(*entries, metadata);
  // A reader sees the old file or the new one, never a part.
  const std::string temporary = path.string() + "." + random_hex(4) + ".tmp";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return system_failure(path, "create");
  bool good = write_file(fd, header, *entries);
  int code = good ? 0 : errno;
  if (::close(fd) != 0 && good) good = false, code = errno;
  if (good && ::rename(temporary.c_str(), path.c_str()) != 0) good = false, code = errno;
  if (good) return {};
  ::unlink(temporary.c_str());
  errno = code;
  return system_failure(path, "write");
}

}  // namespace lp::engine
