// SPDX-License-Identifier: MIT
// ZIP is PKWARE's APPNOTE.TXT; entries are stored, not compressed.
#include "pipelines/weights/pickle_archive.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include <fmt/format.h>

#include "pipelines/weights/foreign_file.hpp"
#include "pipelines/weights/pickle.hpp"

namespace lp::pipelines {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_pickle_bytes = std::size_t{256} << 20;

struct entry {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
};
using entries = std::map<std::string, entry, std::less<>>;

/// Bounded little-endian reading; anything beyond the end is 0 and spoils the reader.
struct reader {
  std::string_view bytes;
  bool good = true;

  std::uint64_t at(std::uint64_t place, std::size_t width) {
    if (place > bytes.size() || width > bytes.size() - place) {
      good = false;
      return 0;
    }
    std::uint64_t out = 0;
    for (std::size_t i = width; i-- > 0;)
      out = out << 8 | static_cast<unsigned char>(bytes[place + i]);
    return out;
  }
};

/// Where the list of entries begins and how many they are.
bool find_directory(reader& in, std::uint64_t& begin, std::uint64_t& count) {
  constexpr std::string_view end_mark("PK\x05\x06", 4);
  // Behind it lies a comment of at most 65535 bytes; other files are not read through for it.
  constexpr std::size_t furthest = 22 + 65535;
  const auto first = in.bytes.size() - std::min(in.bytes.size(), furthest);
  const auto found = in.bytes.substr(first).rfind(end_mark);
  if (found == in.bytes.npos) return false;
  const auto end = first + found;
  count = in.at(end + 10, 2);
  begin = in.at(end + 16, 4);
  if (begin != 0xffffffff && count != 0xffff) return in.good;
  if (end < 20 || in.at(end - 20, 4) != 0x07064b50) return false;
  const auto large = in.at(end - 20 + 8, 8);
  if (in.at(large, 4) != 0x06064b50) return false;
  count = in.at(large + 32, 8);
  begin = in.at(large + 48, 8);
  return in.good;
}

/// Sizes and places beyond 32 bits lie in an extra field, in this order, only those that need it.
void read_wide(reader& in, std::uint64_t extra, std::uint64_t length, std::uint64_t& size,
               std::uint64_t& packed, std::uint64_t& place) {
  for (auto at = extra; at + 4 <= extra + length;) {
    const auto id = in.at(at, 2);
    const auto bytes = in.at(at + 2, 2);
    auto next = at + 4;
    if (id == 1) {
      for (auto* v : {&size, &packed, &place}) {
        if (*v != 0xffffffff) continue;
        *v = in.at(next, 8);
        next += 8;
      }
      return;
    }
    at += 4 + bytes;
  }
}

result<entries> read_directory(std::string_view file, const std::string& name) {
  const auto bad = [&](std::string_view why) {
    return fail(ec::bad_file, fmt::format("{}: {}", name, why));
  };
  reader in{file};
  std::uint64_t at = 0, count = 0;
  if (!find_directory(in, at, count))
    return bad(
        "expected a ZIP archive as torch.save() writes it (files older than PyTorch 1.6 "
        "have another form; save them again)");
  entries out;
  for (std::uint64_t i = 0; i < count && in.good; ++i) {
    if (in.at(at, 4) != 0x02014b50) return bad("its list of entries is damaged");
    const auto method = in.at(at + 10, 2);
    auto packed = in.at(at + 20, 4), size = in.at(at + 24, 4), place = in.at(at + 42, 4);
    const auto name_length = in.at(at + 28, 2), extra_length = in.at(at + 30, 2);
    if (!in.good || at + 46 + name_length > file.size()) break;
    const auto entry_name = file.substr(at + 46, name_length);
    read_wide(in, at + 46 + name_length, extra_length, size, packed, place);
    const auto begin = place + 30 + in.at(place + 26, 2) + in.at(place + 28, 2);
    if (method != 0) return bad(fmt::format("entry {} is compressed", entry_name));
    if (in.at(place, 4) != 0x04034b50 || begin > file.size() || size > file.size() - begin)
      return bad(fmt::format("entry {} lies outside the file", entry_name));
    // The first folder is the archive's name, which means nothing.
    out[std::string(entry_name.substr(entry_name.find('/') + 1))] = {begin, size};
    at += 46 + name_length + extra_length + in.at(at + 32, 2);
  }
  if (!in.good) return bad("its list of entries is cut off");
  return out;
}

struct storage_type {
  std::string_view name;
  std::string_view dtype;
  std::uint64_t width;
};
constexpr std::array<storage_type, 10> storage_types = {{
    {"FloatStorage", "F32", 4},
    {"HalfStorage", "F16", 2},
    {"BFloat16Storage", "BF16", 2},
    {"DoubleStorage", "F64", 8},
    {"LongStorage", "I64", 8},
    {"IntStorage", "I32", 4},
    {"ShortStorage", "I16", 2},
    {"CharStorage", "I8", 1},
    {"ByteStorage", "U8", 1},
    {"BoolStorage", "BOOL", 1},
}};

/// One past the last element that the tensor touches; -1 where the description is nonsense.
std::int64_t reach(const pickled_tensor& t) {
  if (t.shape.size() != t.stride.size() || t.offset < 0) return -1;
  std::int64_t last = t.offset;
  bool empty = false;
  for (std::size_t d = 0; d < t.shape.size(); ++d) {
    if (t.shape[d] < 0 || t.stride[d] < 0) return -1;
    if (t.shape[d] == 0) empty = true;
    std::int64_t step = 0;
    if (__builtin_mul_overflow(std::max<std::int64_t>(t.shape[d] - 1, 0), t.stride[d], &step) ||
        __builtin_add_overflow(last, step, &last))
      return -1;
  }
  return empty ? t.offset : last + 1;
}

}  // namespace

result<pickle_archive> open_pickle_archive(const fs::path& path, bool ahead) {
  const auto file = mapped_file::open(path, ahead);
  if (!file) return fail(file.error());
  const auto listed = read_directory((*file)->all(), path.string());
  if (!listed) {
    const auto is = what_it_is(path);
    if (is.empty()) return fail(listed.error());
    return fail(ec::bad_file, fmt::format("{}: it is {}", path.string(), is));
  }
  const auto bad = [&](const std::string& why) {
    return fail(ec::bad_file, fmt::format("{}: {}", path.string(), why));
  };
  const auto pickle = listed->find("data.pkl");
  if (pickle == listed->end() || pickle->second.size > most_pickle_bytes) {
    return bad("expected an entry data.pkl of at most 256 MiB");
  }
  const auto tensors =
      read_pickle((*file)->all().substr(pickle->second.begin, pickle->second.size));
  if (!tensors) return bad(tensors.error().message);
  pickle_archive out{*file, {}};
  for (const auto& [name, t] : *tensors) {
    const auto type = std::find_if(storage_types.begin(), storage_types.end(),
                                   [&](const auto& s) { return s.name == t.storage_type; });
    if (type == storage_types.end()) return bad(name + ": unknown type " + t.storage_type);
    const auto data = listed->find("data/" + t.storage_key);
    const auto elements =
        data == listed->end() ? 0 : static_cast<std::int64_t>(data->second.size / type->width);
    const auto needed = reach(t);
    if (needed < 0 || needed > elements || t.storage_size > elements) {
      return bad(fmt::format("{}: its bytes do not lie in the archive", name));
    }
    out.tensors[name] = {std::string(type->dtype),
                         type->width,
                         data->second.begin,
                         t.offset,
                         needed - t.offset,
                         t.shape,
                         t.stride};
  }
  return out;
}

}  // namespace lp::pipelines
