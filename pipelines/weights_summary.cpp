// SPDX-License-Identifier: MIT
#include "pipelines/weights_summary.hpp"

#include <algorithm>
#include <fstream>
#include <vector>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

namespace lp::pipelines {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t longest_header = 100'000'000;  // as the format's own reader has it

// Adds one tensor; false if its entry makes no sense.
bool add_tensor(const json::value& entry, std::uint64_t data_size, weights_summary& out) {
  const json::object* o = entry.if_object();
  if (o == nullptr) return false;
  const json::value* dtype = o->if_contains("dtype");
  const json::value* shape = o->if_contains("shape");
  const json::value* place = o->if_contains("data_offsets");
  const bool whole = dtype != nullptr && dtype->is_string() && shape != nullptr &&
                     shape->is_array() && place != nullptr && place->is_array() &&
                     place->get_array().size() == 2;
  if (!whole) return false;
  boost::system::error_code bad;
  std::uint64_t count = 1;
  for (const json::value& side : shape->get_array()) {
    const auto length = side.to_number<std::uint64_t>(bad);
    if (bad || (length != 0 && count > (std::uint64_t{1} << 48) / length)) return false;
    count *= length;
  }
  const auto begin = place->get_array()[0].to_number<std::uint64_t>(bad);
  const auto end = bad ? 0 : place->get_array()[1].to_number<std::uint64_t>(bad);
  if (bad || begin > end || end > data_size) return false;
  ++out.tensors;
  out.parameters += count;
  out.bytes += end - begin;
  out.by_dtype[std::string(dtype->get_string())] += count;
  return true;
}

}  // namespace

void weights_summary::add(const weights_summary& other) {
  tensors += other.tensors;
  parameters += other.parameters;
  bytes += other.bytes;
  for (const auto& [dtype, count] : other.by_dtype) by_dtype[dtype] += count;
}

result<weights_summary> summarise_safetensors(const fs::path& file) {
  const auto damaged = [&](std::string_view what) {
    return fail(ec::bad_file, fmt::format("{}: {}", file.string(), what));
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
  weights_summary out;
  for (const auto& [name, entry] : parsed.get_object()) {
    if (name == "__metadata__") continue;
    if (add_tensor(entry, size - 8 - length, out)) continue;
    return damaged(fmt::format("the tensor {} has no place in the file, which may be cut short",
                               std::string_view(name)));
  }
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
