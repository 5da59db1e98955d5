// SPDX-License-Identifier: MIT
#include "pipelines/weights/tensor_names.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "pipelines/weights/foreign_file.hpp"
#include "pipelines/weights/pickle_archive.hpp"

namespace lp::pipelines {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t longest_header = 100'000'000;  // as the format's own reader has it

// Nothing if the entry makes no sense or its place is not in the file.
std::optional<named_tensor> read_entry(const json::value& entry, std::uint64_t data_size) {
  const json::object* o = entry.if_object();
  if (o == nullptr) return std::nullopt;
  const json::value* dtype = o->if_contains("dtype");
  const json::value* shape = o->if_contains("shape");
  const json::value* place = o->if_contains("data_offsets");
  const bool whole = dtype != nullptr && dtype->is_string() && shape != nullptr &&
                     shape->is_array() && place != nullptr && place->is_array() &&
                     place->get_array().size() == 2;
  if (!whole) return std::nullopt;
  named_tensor out;
  out.dtype = std::string(dtype->get_string());
  out.parameters = 1;
  boost::system::error_code bad;
  for (const json::value& side : shape->get_array()) {
    const auto length = side.to_number<std::uint64_t>(bad);
    if (bad || (length != 0 && out.parameters > (std::uint64_t{1} << 48) / length)) {
      return std::nullopt;
    }
    out.parameters *= length;
    out.shape.push_back(length);
  }
  const auto begin = place->get_array()[0].to_number<std::uint64_t>(bad);
  const auto end = bad ? 0 : place->get_array()[1].to_number<std::uint64_t>(bad);
  if (bad || begin > end || end > data_size) return std::nullopt;
  out.bytes = end - begin;
  out.begin = begin;
  return out;
}

struct safetensors_text {
  json::object header;
  std::uint64_t data = 0;       ///< where the tensors' bytes begin
  std::uint64_t data_size = 0;  ///< and how many there are
};

result<safetensors_text> read_header(const fs::path& file) {
  const auto damaged = [&](std::string_view what) {
    return fail(ec::bad_file, told_of_file(file, what));
  };
  std::error_code error;
  const std::uint64_t size = fs::file_size(file, error);
  std::ifstream in(file, std::ios::binary);
  unsigned char length_bytes[8] = {};
  if (error || !in.read(reinterpret_cast<char*>(length_bytes), 8)) return damaged("cannot be read");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | length_bytes[i];
  if (length > longest_header || length + 8 > size) return damaged("its header is cut short");
  std::string header(length, '\0');
  if (!in.read(header.data(), static_cast<std::streamsize>(length))) return damaged("cut short");
  boost::system::error_code bad;
  const json::value parsed = json::parse(header, bad);
  if (bad || !parsed.is_object()) return damaged("its header is no JSON object");
  return safetensors_text{parsed.get_object(), length + 8, size - 8 - length};
}

double half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  const double size = exponent == 0    ? std::ldexp(fraction, -24)
                      : exponent == 31 ? HUGE_VAL
                                       : std::ldexp(fraction + 1024, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

// Numbers as they lie in the file, little-endian.
template <class T, class Convert>
std::vector<double> numbers(std::string_view bytes, Convert convert) {
  std::vector<double> out(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < out.size(); ++i) {
    T value{};
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = convert(value);
  }
  return out;
}

}  // namespace

result<std::map<std::string, named_tensor>> read_safetensors_names(const fs::path& file) {
  const auto text = read_header(file);
  if (!text) return fail(text.error());
  std::map<std::string, named_tensor> out;
  for (const auto& [name, entry] : text->header) {
    if (name == "__metadata__") continue;
    auto tensor = read_entry(entry, text->data_size);
    if (!tensor) {
      return fail(ec::bad_file,
                  fmt::format("{}: the tensor {} has no place in the file, which may be cut short",
                              file.string(), std::string_view(name)));
    }
    tensor->begin += text->data;
    out.emplace(name, std::move(*tensor));
  }
  return out;
}

result<std::map<std::string, std::string>> read_safetensors_metadata(const fs::path& file) {
  const auto text = read_header(file);
  if (!text) return fail(text.error());
  std::map<std::string, std::string> out;
  const json::value* entries = text->header.if_contains("__metadata__");
  if (entries == nullptr || !entries->is_object()) return out;
  for (const auto& [name, value] : entries->get_object()) {
    if (value.is_string()) out.emplace(name, value.get_string());
  }
  return out;
}

std::optional<std::vector<double>> read_safetensors_values(const fs::path& file,
                                                           const std::string& name) {
  constexpr std::uint64_t most = 65536;
  const auto names = read_safetensors_names(file);
  if (!names) return std::nullopt;
  const auto it = names->find(name);
  if (it == names->end()) return std::nullopt;
  const named_tensor& tensor = it->second;
  if (tensor.parameters > most || tensor.bytes > most * sizeof(double)) return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  std::string bytes(tensor.bytes, '\0');
  in.seekg(static_cast<std::streamoff>(tensor.begin));
  if (!in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) return std::nullopt;
  const auto plain = [](auto v) { return static_cast<double>(v); };
  if (tensor.dtype == "F64") return numbers<double>(bytes, plain);
  if (tensor.dtype == "F32") return numbers<float>(bytes, plain);
  if (tensor.dtype == "F16") return numbers<std::uint16_t>(bytes, half);
  if (tensor.dtype != "BF16") return std::nullopt;
  return numbers<std::uint16_t>(bytes, [](std::uint16_t bits) {
    return static_cast<double>(std::bit_cast<float>(std::uint32_t{bits} << 16));
  });
}

result<std::map<std::string, named_tensor>> read_tensor_names(const fs::path& file) {
  if (file.extension() == ".safetensors") return read_safetensors_names(file);
  const auto archive = open_pickle_archive(file, false);
  if (!archive) return fail(archive.error());
  std::map<std::string, named_tensor> out;
  for (const auto& [name, t] : archive->tensors) {
    named_tensor& tensor = out[name];
    tensor.dtype = t.dtype;
    tensor.parameters = 1;
    for (const std::int64_t length : t.shape) {
      tensor.shape.push_back(static_cast<std::uint64_t>(length));
      tensor.parameters *= static_cast<std::uint64_t>(length);
    }
    tensor.bytes = tensor.parameters * t.width;
  }
  return out;
}

}  // namespace lp::pipelines
