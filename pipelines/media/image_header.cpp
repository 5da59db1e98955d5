// SPDX-License-Identifier: MIT
#include "pipelines/media/image_header.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <boost/crc.hpp>

namespace lp::pipelines {

namespace {

constexpr std::string_view png_signature("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view jpeg_signature("\xff\xd8\xff", 3);
constexpr std::string_view exif_signature("Exif\0\0", 6);
/// A picture's file has a few dozen segments or, where an encoder flushes often, some thousands.
constexpr int most_segments = 1 << 20;

tl::unexpected<error> damaged(image_format format, std::string_view what) {
  return fail(ec::bad_file, fmt::format("a damaged {} file: {}", to_string(format), what));
}

std::uint32_t big(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char b : bytes) value = value << 8 | static_cast<unsigned char>(b);
  return value;
}

std::uint32_t little(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

// Bytes of a value of one of TIFF's whole-numbered types; 0 for any other type.
std::size_t integer_size(std::uint32_t type) {
  switch (type) {
    case 1:  // BYTE
    case 6:  // SBYTE
      return 1;
    case 3:  // SHORT
    case 8:  // SSHORT
      return 2;
    case 4:  // LONG
    case 9:  // SLONG
      return 4;
    default:
      return 0;
  }
}

// Orientation of an Exif block, which is a TIFF file: byte order, the number 42, the first
// directory's place, and there entries of 12 bytes (Exif 2.3, 4.6). Its type should be SHORT, and
// programs write others. 1 wherever it is not told: a picture with odd Exif data is a picture all
// the same.
int exif_orientation(std::string_view tiff) {
  if (tiff.size() < 8) return 1;
  const bool intel = tiff.starts_with("II");
  if (!intel && !tiff.starts_with("MM")) return 1;
  const auto number = [&](std::size_t at, std::size_t size) {
    return intel ? little(tiff.substr(at, size)) : big(tiff.substr(at, size));
  };
  const std::size_t directory = number(4, 4);
  if (directory > tiff.size() - 2) return 1;
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * 12;
    if (at + 12 > tiff.size()) return 1;
    constexpr std::uint32_t orientation_tag = 0x0112;
    const std::size_t size = integer_size(number(at + 2, 2));
    if (number(at, 2) != orientation_tag || size == 0) continue;
    const std::uint32_t value = number(at + 8, size);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

tl::unexpected<error> too_many_segments(image_format format) {
  return damaged(format, fmt::format("it has over {} segments", most_segments));
}

bool has_right_sum(std::string_view name_and_data, std::uint32_t sum) {
  boost::crc_32_type crc;
  crc.process_bytes(name_and_data.data(), name_and_data.size());
  return crc.checksum() == sum;
}

// Signature, then chunks of length, name, data and sum; the first is IHDR (PNG, 11.2.2).
result<image_header> read_png(std::string_view file) {
  if (file.size() < 33 || file.substr(12, 4) != "IHDR") {
    return damaged(image_format::png, "its header is cut short");
  }
  image_header out{image_format::png, big(file.substr(16, 4)), big(file.substr(20, 4)), 1};
  int chunks = 0;
  for (std::size_t at = 8; at + 12 <= file.size();) {
    if (++chunks > most_segments) return too_many_segments(out.format);
    const std::size_t length = big(file.substr(at, 4));
    const std::string_view name = file.substr(at + 4, 4);
    if (name == "IEND" || length > file.size() - at - 12) break;
    // It may stand behind the data, too. A broken one is as good as none.
    if (name == "eXIf" &&
        has_right_sum(file.substr(at + 4, 4 + length), big(file.substr(at + 8 + length, 4)))) {
      out.orientation = exif_orientation(file.substr(at + 8, length));
    }
    at += 12 + length;
  }
  return out;
}

bool is_frame_header(unsigned marker) {
  // SOF0 to SOF15 without DHT, JPG and DAC, which lie among them (ITU T.81, table B.1).
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

// What none of the decoders takes, by the frame's marker (ITU T.81, table B.1); empty: it does.
std::string_view unknown_process(unsigned marker) {
  switch (marker) {
    case 0xc3:
    case 0xcb:
      return "lossless coding";
    case 0xc5:
    case 0xc6:
    case 0xc7:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return "hierarchical coding";
    default:
      return {};
  }
}

// A frame header is precision, height, width and the number of components (B.2.2).
result<void> read_frame(unsigned marker, std::string_view data, image_header& out) {
  if (data.size() < 6) return damaged(out.format, "its frame header is cut short");
  const auto unsupported = [](std::string_view what) {
    return fail(ec::unsupported_media,
                fmt::format("a JPEG file of a kind that is not supported: {}", what));
  };
  if (const auto process = unknown_process(marker); !process.empty()) return unsupported(process);
  if (data[0] != 8) {
    return unsupported(fmt::format("samples of {} bits", static_cast<unsigned char>(data[0])));
  }
  const int components = static_cast<unsigned char>(data[5]);
  if (components != 1 && components != 3 && components != 4) {
    return unsupported(fmt::format("{} colour components", components));
  }
  out.height = big(data.substr(1, 2));
  out.width = big(data.substr(3, 2));
  return {};
}

// Segments of marker, length and data up to the first scan (ITU T.81, B.2.2). Exif data may stand
// on either side of the frame header; the first counts, as everywhere. Stray bytes between segments
// are passed over, as the decoder does.
result<image_header> read_jpeg(std::string_view file) {
  image_header out{image_format::jpeg, 0, 0, 1};
  bool seen_exif = false;
  int segments = 0;
  for (std::size_t at = 2;;) {
    at = file.find('\xff', at);                                    // stray bytes
    if (at != file.npos) at = file.find_first_not_of('\xff', at);  // fill bytes
    if (at == file.npos) break;
    const auto marker = static_cast<unsigned char>(file[at++]);
    if (++segments > most_segments) return too_many_segments(out.format);
    const bool bare = marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd7);
    if (bare) continue;
    if (marker == 0xd9 || marker == 0xda) break;
    const std::size_t length = big(file.substr(at, 2));
    if (length < 2 || length > file.size() - at) break;
    const std::string_view data = file.substr(at + 2, length - 2);
    if (is_frame_header(marker) && out.width == 0) {
      if (auto ok = read_frame(marker, data, out); !ok) return fail(ok.error());
    }
    if (marker == 0xe1 && !seen_exif && data.starts_with(exif_signature.substr(0, 5))) {
      seen_exif = true;
      out.orientation = exif_orientation(data.substr(std::min(data.size(), exif_signature.size())));
    }
    at += length;
  }
  if (out.width == 0 && out.height == 0) return damaged(out.format, "it has no frame header");
  return out;
}

// The size that a WebP's first chunk tells, by its kind (RFC 9649, 2.5 to 2.7; RFC 6386, 9.1).
std::optional<image_header> read_webp_chunk(std::string_view name, std::string_view data) {
  image_header out{image_format::webp, 0, 0, 1};
  if (name == "VP8X" && data.size() >= 10) {
    out.width = little(data.substr(4, 3)) + 1;
    out.height = little(data.substr(7, 3)) + 1;
    return out;
  }
  if (name == "VP8L" && data.size() >= 5 && data[0] == '\x2f') {
    const std::uint32_t bits = little(data.substr(1, 4));
    out.width = (bits & 0x3fff) + 1;
    out.height = (bits >> 14 & 0x3fff) + 1;
    return out;
  }
  if (name == "VP8 " && data.size() >= 10 && data.substr(3, 3) == "\x9d\x01\x2a") {
    out.width = little(data.substr(6, 2)) & 0x3fff;
    out.height = little(data.substr(8, 2)) & 0x3fff;
    return out;
  }
  return std::nullopt;
}

// "RIFF", size, "WEBP", then chunks of name, size and data padded to even length.
result<image_header> read_webp(std::string_view file) {
  std::optional<image_header> out;
  int chunks = 0;
  for (std::size_t at = 12; at + 8 <= file.size();) {
    if (++chunks > most_segments) return too_many_segments(image_format::webp);
    const std::string_view name = file.substr(at, 4);
    const std::size_t length = little(file.substr(at + 4, 4));
    const std::string_view data = file.substr(at + 8, length);
    if (!out) {
      out = read_webp_chunk(name, data);
      if (!out) break;
      constexpr char animated = 2;
      if (name == "VP8X" && (data[0] & animated) != 0) {
        return fail(ec::unsupported_media, "an animated WebP file; expected a still picture");
      }
      if (name != "VP8X") break;
    }
    if (name == "EXIF") {
      const bool named = data.starts_with(exif_signature);
      out->orientation = exif_orientation(named ? data.substr(exif_signature.size()) : data);
    }
    at += 8 + length + length % 2;
  }
  if (out) return *out;
  return damaged(image_format::webp, "its header is cut short");
}

result<image_header> read_gif(std::string_view file) {
  if (file.size() < 13) return damaged(image_format::gif, "its header is cut short");
  return image_header{image_format::gif, little(file.substr(6, 2)), little(file.substr(8, 2)), 1};
}

result<image_header> read_any(std::string_view file) {
  if (file.starts_with(png_signature)) return read_png(file);
  if (file.starts_with(jpeg_signature)) return read_jpeg(file);
  if (file.starts_with("RIFF") && file.size() >= 12 && file.substr(8, 4) == "WEBP") {
    return read_webp(file);
  }
  if (file.starts_with("GIF87a") || file.starts_with("GIF89a")) return read_gif(file);
  return fail(ec::unsupported_media, "not a PNG, JPEG, WebP or GIF file");
}

}  // namespace

std::string_view to_string(image_format format) {
  switch (format) {
    case image_format::png:
      return "PNG";
    case image_format::jpeg:
      return "JPEG";
    case image_format::webp:
      return "WebP";
    case image_format::gif:
      break;
  }
  return "GIF";
}

std::string_view mime_type(image_format format) {
  switch (format) {
    case image_format::png:
      return "image/png";
    case image_format::jpeg:
      return "image/jpeg";
    case image_format::webp:
      return "image/webp";
    case image_format::gif:
      break;
  }
  return "image/gif";
}

result<image_header> read_image_header(std::string_view file) {
  auto out = read_any(file);
  if (out && out->pixels() == 0) {
    return damaged(out->format, fmt::format("its size is {}x{}", out->width, out->height));
  }
  return out;
}

}  // namespace lp::pipelines
