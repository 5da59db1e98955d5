// SPDX-License-Identifier: MIT
#include "pipelines/engine/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <vector>

#include <fmt/core.h>
#include <boost/json.hpp>

#include "pipelines/engine/json_file.hpp"

namespace lp::engine {
namespace {

namespace json = boost::json;
using at::ScalarType;

// The names are those of the format's specification. libtorch 1.13 has neither 8-bit floats nor
// wide unsigned integers, so they are viewed as integers of their size and widened.
constexpr std::array dtypes = {
    safetensors_dtype{"F32", 4, ScalarType::Float, ScalarType::Float},
    safetensors_dtype{"F16", 2, ScalarType::Half, ScalarType::Half},
    safetensors_dtype{"BF16", 2, ScalarType::BFloat16, ScalarType::BFloat16},
    safetensors_dtype{"F64", 8, ScalarType::Double, ScalarType::Double},
    safetensors_dtype{"I64", 8, ScalarType::Long, ScalarType::Long},
    safetensors_dtype{"I32", 4, ScalarType::Int, ScalarType::Int},
    safetensors_dtype{"I16", 2, ScalarType::Short, ScalarType::Short},
    safetensors_dtype{"I8", 1, ScalarType::Char, ScalarType::Char},
    safetensors_dtype{"U8", 1, ScalarType::Byte, ScalarType::Byte},
    safetensors_dtype{"BOOL", 1, ScalarType::Byte, ScalarType::Bool},
    safetensors_dtype{"C64", 8, ScalarType::ComplexFloat, ScalarType::ComplexFloat},
    safetensors_dtype{"F8_E4M3", 1, ScalarType::Byte, ScalarType::Float},
    safetensors_dtype{"F8_E5M2", 1, ScalarType::Byte, ScalarType::Float},
    safetensors_dtype{"U16", 2, ScalarType::Short, ScalarType::Int},
    safetensors_dtype{"U32", 4, ScalarType::Int, ScalarType::Long},
    safetensors_dtype{"U64", 8, ScalarType::Long, ScalarType::Long},
};

constexpr std::size_t max_dimensions = 64;  // libtorch's own bound on what it iterates over

/// Product of the sizes and the element's size, or nothing if it leaves int64. Zeros count as ones
/// for that bound, since strides are products of the other sizes.
std::optional<std::uint64_t> byte_count(const std::vector<std::int64_t>& shape, std::uint8_t size) {
  constexpr std::uint64_t limit = std::numeric_limits<std::int64_t>::max();
  std::uint64_t bound = size;
  bool empty = false;
  for (const std::int64_t d : shape) {
    if (d == 0) {
      empty = true;
    } else if (bound > limit / static_cast<std::uint64_t>(d)) {
      return std::nullopt;
    } else {
      bound *= static_cast<std::uint64_t>(d);
    }
  }
  return empty ? 0 : bound;
}

/// A JSON array of integers that are not negative.
std::optional<std::vector<std::int64_t>> sizes(const json::object& entry, std::string_view key) {
  const json::value* list = entry.if_contains(key);
  if (list == nullptr || !list->is_array()) return std::nullopt;
  std::vector<std::int64_t> out;
  for (const json::value& v : list->get_array()) {
    if (!v.is_int64() || v.get_int64() < 0) return std::nullopt;
    out.push_back(v.get_int64());
  }
  return out;
}

/// One tensor's entry; the error is the defect alone, without file and name.
tl::expected<tensor_info, std::string> parse_entry(const json::value& value) {
  if (!value.is_object()) return tl::unexpected<std::string>("expected an object");
  const json::object& entry = value.get_object();
  const json::value* dtype = entry.if_contains("dtype");
  if (dtype == nullptr || !dtype->is_string()) {
    return tl::unexpected<std::string>("\"dtype\" is missing or no string");
  }
  const auto* type = find_safetensors_dtype(dtype->get_string());
  if (type == nullptr) {
    return tl::unexpected(fmt::format("unknown dtype \"{}\"", dtype->get_string().c_str()));
  }
  auto shape = sizes(entry, "shape");
  if (!shape || shape->size() > max_dimensions) {
    return tl::unexpected(
        fmt::format("\"shape\" is not a list of at most {} integers from 0 up", max_dimensions));
  }
  const auto offsets = sizes(entry, "data_offsets");
  if (!offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
    return tl::unexpected<std::string>("\"data_offsets\" is not a begin and an end after it");
  }
  tensor_info info{std::string(type->name), std::move(*shape),
                   static_cast<std::uint64_t>((*offsets)[0]),
                   static_cast<std::uint64_t>((*offsets)[1])};
  const auto expected = byte_count(info.shape, type->size);
  if (!expected || *expected != info.end - info.begin) {
    return tl::unexpected(
        fmt::format("{} bytes do not fit its shape of {} ({})", info.end - info.begin, type->name,
                    expected ? fmt::format("{} bytes", *expected) : "too many for 64 bits"));
  }
  return info;
}

result<void> check_coverage(const std::map<std::string, tensor_info>& tensors,
                            std::uint64_t data_size, const std::filesystem::path& path) {
  std::vector<std::pair<const std::string*, const tensor_info*>> order;
  order.reserve(tensors.size());
  for (const auto& [name, info] : tensors) order.emplace_back(&name, &info);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::uint64_t covered = 0;
  for (const auto& [name, info] : order) {
    if (info->begin != covered) {
      return fail(ec::bad_file,
                  fmt::format("{}: tensor \"{}\" begins at byte {} of the data, expected {} ({})",
                              path.string(), *name, info->begin, covered,
                              info->begin < covered ? "overlap" : "hole"));
    }
    covered = info->end;
  }
  if (covered != data_size) {
    return fail(
        ec::bad_file,
        fmt::format("{}: the tensors take {} bytes, but {} bytes of data follow the header{}",
                    path.string(), covered, data_size,
                    data_size < covered ? ": a download that was not finished?" : ""));
  }
  return {};
}

result<std::map<std::string, std::string>> parse_metadata(const json::value& value,
                                                          const std::filesystem::path& path) {
  std::map<std::string, std::string> out;
  if (value.is_null()) return out;  // the format's own library takes it for none
  const json::object* entries = value.if_object();
  for (std::size_t i = 0; entries != nullptr && i < entries->size(); ++i) {
    const auto& entry = *(entries->begin() + static_cast<std::ptrdiff_t>(i));
    if (entry.value().is_string()) out.emplace(entry.key(), entry.value().get_string());
  }
  if (entries == nullptr || out.size() != entries->size()) {
    return fail(ec::bad_file,
                fmt::format("{}: __metadata__ is not an object of strings", path.string()));
  }
  return out;
}

}  // namespace

const safetensors_dtype* find_safetensors_dtype(std::string_view name) {
  const auto at = std::find_if(dtypes.begin(), dtypes.end(),
                               [&](const safetensors_dtype& d) { return d.name == name; });
  return at == dtypes.end() ? nullptr : &*at;
}

const safetensors_dtype* safetensors_dtype_of(at::ScalarType type) {
  const auto at = std::find_if(dtypes.begin(), dtypes.end(),
                               [&](const safetensors_dtype& d) { return d.loaded == type; });
  return at == dtypes.end() ? nullptr : &*at;
}

result<safetensors_header> parse_safetensors_header(std::string_view text, std::uint64_t data_size,
                                                    const std::filesystem::path& path) {
  auto value = parse_json(text, path);
  if (!value) return fail(std::move(value.error()));
  if (!value->is_object()) {
    return fail(ec::bad_file, fmt::format("{}: the header is not a JSON object", path.string()));
  }
  safetensors_header out;
  for (const auto& entry : value->get_object()) {
    if (entry.key() == "__metadata__") {
      auto metadata = parse_metadata(entry.value(), path);
      if (!metadata) return fail(std::move(metadata.error()));
      out.metadata = std::move(*metadata);
      continue;
    }
    auto info = parse_entry(entry.value());
    if (!info) {
      return fail(ec::bad_file, fmt::format("{}: tensor \"{}\": {}", path.string(),
                                            std::string_view(entry.key()), info.error()));
    }
    out.tensors.emplace(entry.key(), std::move(*info));
  }
  if (auto covered = check_coverage(out.tensors, data_size, path); !covered) {
    return fail(std::move(covered.error()));
  }
  return out;
}

}  // namespace lp::engine
