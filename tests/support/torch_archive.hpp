// SPDX-License-Identifier: MIT
// Files as torch.save() writes a dictionary of tensors, without torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <boost/crc.hpp>

namespace lp::test {

struct saved_tensor {
  std::string name;
  std::string storage;  ///< "FloatStorage"
  std::vector<std::int64_t> shape;
  std::string bytes;  ///< row by row
};

inline std::string little_endian(std::uint64_t n, int width) {
  std::string out;
  for (int i = 0; i < width; ++i) out += static_cast<char>(n >> (8 * i));
  return out;
}

/// The pickle, in protocol 2; tensor number n lies in the archive's entry "data/n".
inline std::string pickle_of(const std::vector<saved_tensor>& tensors) {
  const auto word = [](const std::string& text) {
    return std::string("X").append(little_endian(text.size(), 4)).append(text);
  };
  const auto number = [](std::int64_t n) {
    return std::string("J").append(little_endian(static_cast<std::uint64_t>(n), 4));
  };
  std::string code = "\x80\x02}(";
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::string sizes = "(", strides;
    std::int64_t elements = 1;
    for (const auto length : tensors[i].shape) sizes += number(length);
    for (auto side = tensors[i].shape.rbegin(); side != tensors[i].shape.rend(); ++side) {
      strides.insert(0, number(elements));
      elements *= *side;
    }
    code += word(tensors[i].name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + word("storage") +
            "ctorch\n" + tensors[i].storage + "\n" + word(std::to_string(i)) + word("cpu") +
            number(elements) + "tQ" + number(0) + sizes + "t(" + strides +
            "t\x89"
            "ccollections\nOrderedDict\n)RtR";
  }
  return code + "u.";
}

/// A ZIP file whose entries are stored as they are.
inline void write_zip(const std::filesystem::path& file,
                      const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out, directory;
  for (const auto& [name, bytes] : entries) {
    boost::crc_32_type crc;
    crc.process_bytes(bytes.data(), bytes.size());
    // Version, flags, method, time and date, then what both forms of an entry tell.
    const std::string head = little_endian(20, 2) + std::string(8, '\0') +
                             little_endian(crc.checksum(), 4) + little_endian(bytes.size(), 4) +
                             little_endian(bytes.size(), 4) + little_endian(name.size(), 2) +
                             little_endian(0, 2);
    directory += "PK\x01\x02" + little_endian(20, 2) + head + std::string(10, '\0') +
                 little_endian(out.size(), 4) + name;
    out += "PK\x03\x04" + head + name + bytes;
  }
  const auto count = little_endian(entries.size(), 2);
  const auto end = std::string("PK\x05\x06") + std::string(4, '\0') + count + count +
                   little_endian(directory.size(), 4) + little_endian(out.size(), 4) +
                   std::string(2, '\0');
  std::ofstream(file, std::ios::binary) << out << directory << end;
}

inline void write_torch_archive(const std::filesystem::path& file,
                                const std::vector<saved_tensor>& tensors) {
  std::vector<std::pair<std::string, std::string>> entries = {
      {"archive/data.pkl", pickle_of(tensors)}};
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    entries.emplace_back("archive/data/" + std::to_string(i), tensors[i].bytes);
  }
  write_zip(file, entries);
}

}  // namespace lp::test
