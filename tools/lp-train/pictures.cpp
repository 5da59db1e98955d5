// SPDX-License-Identifier: MIT
#include "tools/lp-train/pictures.hpp"

#include <array>
#include <fstream>

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace lp::train {
namespace {

void put32(std::string& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(v >> shift));
}

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int k = 0; k < 8; ++k) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
  }
  return ~crc;
}

void put_chunk(std::string& out, const std::string& type, const std::string& body) {
  put32(out, static_cast<std::uint32_t>(body.size()));
  out += type + body;
  put32(out, crc32(type + body));
}

// zlib (RFC 1950) with stored blocks (RFC 1951 section 3.2.4): no compression.
std::string store(const std::string& raw) {
  std::string out("\x78\x01", 2);
  constexpr std::size_t block = 65535;
  for (std::size_t at = 0; at < raw.size(); at += block) {
    const auto size = std::min(block, raw.size() - at);
    out.push_back(at + size == raw.size() ? 1 : 0);
    for (const auto v : {size, ~size}) {
      out.push_back(static_cast<char>(v & 255));
      out.push_back(static_cast<char>(v >> 8 & 255));
    }
    out.append(raw, at, size);
  }
  std::uint32_t a = 1, b = 0;
  for (const char c : raw) {
    a = (a + static_cast<std::uint8_t>(c)) % 65521;
    b = (b + a) % 65521;
  }
  put32(out, b << 16 | a);
  return out;
}

// RGB8 [H, W, 3], contiguous.
std::string png(const at::Tensor& rgb) {
  std::string header;
  put32(header, static_cast<std::uint32_t>(rgb.size(1)));
  put32(header, static_cast<std::uint32_t>(rgb.size(0)));
  header.append("\x08\x02\x00\x00\x00", 5);
  std::string rows;
  const auto stride = static_cast<std::size_t>(rgb.size(1) * 3);
  const auto* data = reinterpret_cast<const char*>(rgb.data_ptr<std::uint8_t>());
  for (std::int64_t y = 0; y < rgb.size(0); ++y) {
    rows.push_back(0);
    rows.append(data + static_cast<std::size_t>(y) * stride, stride);
  }
  std::string out("\x89PNG\r\n\x1a\n", 8);
  put_chunk(out, "IHDR", header);
  put_chunk(out, "IDAT", store(rows));
  put_chunk(out, "IEND", {});
  return out;
}

// [..., 3, H, W] in [-1, 1] -> uint8 [..., H, W, 3].
at::Tensor as_bytes(const at::Tensor& pictures) {
  const auto scaled = (pictures.detach().cpu().clamp(-1, 1) + 1) * 127.5;
  return scaled.round().to(at::kByte).movedim(-3, -1).contiguous();
}

}  // namespace

at::Tensor to_tensor(const std::vector<drawing::scene>& scenes, int side) {
  const auto count = static_cast<std::int64_t>(scenes.size());
  auto out = at::empty({count, side, side, 3}, at::kByte);
  auto* to = out.data_ptr<std::uint8_t>();
  for (const auto& s : scenes) {
    const auto rgb = drawing::draw(s, side);
    to = std::copy(rgb.begin(), rgb.end(), to);
  }
  return out.permute({0, 3, 1, 2}).to(at::kFloat).contiguous() / 127.5 - 1;
}

std::vector<std::uint8_t> to_rgb8(const at::Tensor& picture) {
  const auto bytes = as_bytes(picture);
  const auto* data = bytes.data_ptr<std::uint8_t>();
  return {data, data + bytes.numel()};
}

result<void> save_sheet(const std::filesystem::path& file, const at::Tensor& pictures,
                        int columns) {
  const auto height = pictures.size(2), width = pictures.size(3);
  const auto rows = (pictures.size(0) + columns - 1) / columns;
  constexpr std::int64_t gap = 2;
  auto sheet = at::full({rows * (height + gap) + gap, columns * (width + gap) + gap, 3}, 128,
                        at::TensorOptions(at::kByte));
  const auto bytes = as_bytes(pictures);
  for (std::int64_t i = 0; i < pictures.size(0); ++i) {
    const auto y = i / columns * (height + gap) + gap, x = i % columns * (width + gap) + gap;
    sheet.narrow(0, y, height).narrow(1, x, width).copy_(bytes[i]);
  }
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  const auto encoded = png(sheet);
  out.write(encoded.data(), static_cast<std::streamsize>(encoded.size()));
  if (!out.flush()) return fail(ec::bad_file, fmt::format("cannot write {}", file.string()));
  return {};
}

}  // namespace lp::train
