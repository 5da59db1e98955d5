// SPDX-License-Identifier: MIT
#include "tests/media/file_makers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>  // jpeglib.h needs it first
#include <cstdlib>

#include <jpeglib.h>
#include <webp/encode.h>
#include <zlib.h>

namespace lp::testing {

namespace {

std::string segment(unsigned marker, std::string_view data) {
  return std::string{'\xff', static_cast<char>(marker)} + big(data.size() + 2, 2) +
         std::string(data);
}

std::size_t quarter(std::uint32_t x, std::uint32_t y) {
  return (x < 32 ? 0U : 1U) + (y < 24 ? 0U : 2U);
}

// The complement of inks, as Adobe's programs store them: with black 0 each is just the colour.
std::string row_of(std::uint32_t y, int components) {
  std::string row;
  for (std::uint32_t x = 0; x < 64; ++x) {
    const rgb_values& c = quarters[quarter(x, y)];
    if (components == 1) row += static_cast<char>(c[1]);
    for (int i = 0; components != 1 && i < 3; ++i)
      row += static_cast<char>(c[static_cast<std::size_t>(i)]);
    if (components == 4) row += '\xff';
  }
  return row;
}

void configure(jpeg_compress_struct& c, const jpeg_recipe& recipe) {
  c.image_width = 64;
  c.image_height = 48;
  c.input_components = recipe.components;
  c.in_color_space = recipe.components == 1   ? JCS_GRAYSCALE
                     : recipe.components == 3 ? JCS_RGB
                                              : JCS_CMYK;
  jpeg_set_defaults(&c);
  if (recipe.ycck) jpeg_set_colorspace(&c, JCS_YCCK);
  if (!recipe.adobe) c.write_Adobe_marker = FALSE;
  jpeg_set_quality(&c, 95, TRUE);
  for (int i = 0; i < recipe.components; ++i) {
    c.comp_info[i].h_samp_factor = recipe.sampling[static_cast<std::size_t>(i)][0];
    c.comp_info[i].v_samp_factor = recipe.sampling[static_cast<std::size_t>(i)][1];
  }
  c.arith_code = recipe.arithmetic ? TRUE : FALSE;
  if (recipe.progressive) jpeg_simple_progression(&c);
}

}  // namespace

std::string big(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string little(std::uint64_t value, int bytes) {
  std::string out = big(value, bytes);
  std::reverse(out.begin(), out.end());
  return out;
}

std::string png_chunk(std::string_view name, std::string_view data) {
  const std::string both = std::string(name) + std::string(data);
  const auto sum =
      crc32(0, reinterpret_cast<const Bytef*>(both.data()), static_cast<uInt>(both.size()));
  return big(data.size(), 4) + both + big(sum, 4);
}

std::string deflated(std::string_view data) {
  uLongf length = compressBound(data.size());
  std::string out(length, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &length,
           reinterpret_cast<const Bytef*>(data.data()), data.size());
  out.resize(length);
  return out;
}

std::string deflated_zeros(std::size_t count) {
  std::string zeros(std::size_t{1} << 20U, '\0');
  std::string room(std::size_t{64} << 10U, '\0');
  z_stream z{};
  deflateInit(&z, Z_BEST_SPEED);
  std::string out;
  for (std::size_t left = count; left > 0;) {
    const std::size_t part = std::min(left, zeros.size());
    left -= part;
    z.next_in = reinterpret_cast<Bytef*>(zeros.data());
    z.avail_in = static_cast<uInt>(part);
    do {
      z.next_out = reinterpret_cast<Bytef*>(room.data());
      z.avail_out = static_cast<uInt>(room.size());
      deflate(&z, left == 0 ? Z_FINISH : Z_NO_FLUSH);
      out.append(room, 0, room.size() - z.avail_out);
    } while (z.avail_out == 0);
  }
  deflateEnd(&z);
  return out;
}

std::string make_png(const png_recipe& recipe) {
  const std::string header = big(recipe.width, 4) + big(recipe.height, 4) +
                             static_cast<char>(recipe.depth) + static_cast<char>(recipe.colours) +
                             std::string(3, '\0');
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + recipe.before +
         png_chunk("IDAT", recipe.data.empty() ? deflated(recipe.rows) : recipe.data) +
         recipe.after + png_chunk("IEND", "");
}

std::string exif_block(bool intel, int type, std::uint32_t orientation) {
  const auto number = [intel](std::uint64_t value, int bytes) {
    return intel ? little(value, bytes) : big(value, bytes);
  };
  const int size = type == 1 || type == 6 ? 1 : type == 3 || type == 8 ? 2 : 4;
  std::string value = number(orientation, size);
  value.resize(4, '\0');
  return (intel ? "II" : "MM") + number(42, 2) + number(8, 4) + number(2, 2) +
         // The width of the picture, in an order that a directory should not have.
         number(0x0115, 2) + number(3, 2) + number(1, 4) + number(3, 2) + std::string(2, '\0') +
         number(0x0112, 2) + number(static_cast<std::uint64_t>(type), 2) + number(1, 4) + value +
         number(0, 4);
}

std::string make_jpeg(const jpeg_recipe& recipe) {
  jpeg_compress_struct c;
  jpeg_error_mgr errors;
  c.err = jpeg_std_error(&errors);
  jpeg_create_compress(&c);
  unsigned char* bytes = nullptr;
  unsigned long length = 0;
  jpeg_mem_dest(&c, &bytes, &length);
  configure(c, recipe);
  jpeg_start_compress(&c, TRUE);
  for (std::uint32_t y = 0; y < 48; ++y) {
    std::string row = row_of(y, recipe.components);
    JSAMPROW at = reinterpret_cast<JSAMPROW>(row.data());
    jpeg_write_scanlines(&c, &at, 1);
  }
  jpeg_finish_compress(&c);
  std::string out(reinterpret_cast<const char*>(bytes), length);
  jpeg_destroy_compress(&c);
  std::free(bytes);
  out.insert(2, recipe.behind_start);
  out.insert(out.find("\xff\xda"), recipe.before_scan);
  return out;
}

double error_of(const pipelines::rgb_image& image) {
  if (image.width != 64 || image.height != 48) return 255;
  double sum = 0;
  for (std::uint32_t y = 0; y < 48; ++y) {
    for (std::uint32_t x = 0; x < 64; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        const int got = static_cast<unsigned char>(image.pixels[(y * 64 + x) * 3 + c]);
        sum += std::abs(got - quarters[quarter(x, y)][c]);
      }
    }
  }
  return sum / (64 * 48 * 3);
}

// Grey, every coefficient 0: one code of length 1 in the DC table means 0, one in the AC table "the
// end of so many blocks" (ITU T.81, G.1.2.2).
std::string many_scans(std::uint32_t side, int scans) {
  const auto table = [](int id, char symbol) {
    return std::string{static_cast<char>(id), '\x01'} + std::string(15, '\0') + symbol;
  };
  std::string out = "\xff\xd8" + segment(0xdb, '\0' + std::string(64, '\x01'));
  out += segment(0xc2, '\x08' + big(side, 2) + big(side, 2) + std::string("\x01\x01\x11\0", 4));
  out += segment(0xc4, table(0x00, '\0')) + segment(0xc4, table(0x10, '\xe0'));
  const std::uint32_t blocks = (side / 8) * (side / 8);
  out += segment(0xda, std::string("\x01\x01\0\0\0\0", 6)) + std::string((blocks + 7) / 8, '\0');
  // Runs of 16384 blocks and more are a 0 and 14 bits.
  std::string bits;
  for (std::uint32_t left = blocks; left > 0;) {
    const std::uint32_t run = std::max(16384U, std::min(left, 32767U));
    bits += '0';
    for (int i = 13; i >= 0; --i) bits += (run - 16384) >> i & 1U ? '1' : '0';
    left -= std::min(left, run);
  }
  bits.resize((bits.size() + 7) / 8 * 8, '1');
  std::string data;
  for (std::size_t i = 0; i < bits.size(); i += 8) {
    data += static_cast<char>(std::stoi(bits.substr(i, 8), nullptr, 2));
    if (data.back() == '\xff') data += '\0';
  }
  for (int i = 0; i < scans; ++i) {
    const char k = static_cast<char>(1 + i % 63);
    out += segment(0xda, std::string{'\x01', '\x01', '\0', k, k, '\0'}) + data;
  }
  return out + "\xff\xd9";
}

std::string make_webp(std::uint32_t width, std::uint32_t height, const std::string& rgba) {
  WebPConfig config;
  WebPPicture picture;
  WebPMemoryWriter writer;
  WebPConfigInit(&config);
  WebPConfigLosslessPreset(&config, 6);
  config.exact = 1;
  WebPPictureInit(&picture);
  WebPMemoryWriterInit(&writer);
  picture.use_argb = 1;
  picture.width = static_cast<int>(width);
  picture.height = static_cast<int>(height);
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &writer;
  WebPPictureImportRGBA(&picture, reinterpret_cast<const std::uint8_t*>(rgba.data()),
                        static_cast<int>(width * 4));
  WebPEncode(&config, &picture);
  std::string out(reinterpret_cast<const char*>(writer.mem), writer.size);
  WebPPictureFree(&picture);
  WebPMemoryWriterClear(&writer);
  return out;
}

}  // namespace lp::testing
