// SPDX-License-Identifier: MIT
// PNG with libpng. Of the chunks only those that say what the pixels are get looked at: IHDR, PLTE,
// tRNS and IDAT. Profiles, text, gamma and the rest may be broken, or bombs.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

#include "pipelines/media/raw_image.hpp"

namespace lp::pipelines {

namespace {

std::uint32_t number_at(std::string_view file, std::size_t at) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < 4; ++i) out = out << 8U | static_cast<unsigned char>(file[at + i]);
  return out;
}

// Whether the file goes on to the end of its picture's data; what comes behind may be missing.
bool has_all_data(std::string_view file) {
  bool seen = false;
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = number_at(file, at);
    const bool data = file.substr(at + 4, 4) == "IDAT";
    if (seen && !data) return true;
    if (length > file.size() - at - 12) return false;
    seen = data;
    at += 12 + length;
    if (seen && at == file.size()) return true;
  }
  return false;
}

/// As jpeg_reader: libpng leaves by longjmp.
class png_reader {
 public:
  explicit png_reader(const decoder_input& in) : in_(in) {}
  png_reader(const png_reader&) = delete;
  png_reader& operator=(const png_reader&) = delete;
  ~png_reader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  bool create() {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this, [](png_structp p, png_const_charp why) { self(p).leave(why); },
        [](png_structp, png_const_charp) {});
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    return info_ != nullptr;
  }

  /// Reads up to the data and chooses the form of the pixels.
  bool open() {
    if (setjmp(mark_) != 0) return false;
    png_set_read_fn(png_, this, [](png_structp p, png_bytep to, std::size_t n) {
      static_cast<png_reader*>(png_get_io_ptr(p))->take(to, n);
    });
    png_set_user_limits(png_, in_.header.width, in_.header.height);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_option(png_, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
    png_read_info(png_, info_);
    png_set_expand(png_);    // palettes, fewer than 8 bits, colours that are transparent
    png_set_strip_16(png_);  // the higher byte, as Pillow does with colours
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  std::uint32_t channels() const { return png_get_channels(png_, info_); }

  bool fills(const raw_image& out) const {
    return png_get_image_width(png_, info_) == out.width &&
           png_get_image_height(png_, info_) == out.height &&
           png_get_rowbytes(png_, info_) == out.row();
  }

  bool read(raw_image& out) {
    if (setjmp(mark_) != 0) return false;
    for (int pass = 0; pass < passes_; ++pass) {
      for (std::uint32_t y = 0; y < out.height; ++y) {
        watch();
        png_read_row(png_, out.at(y), nullptr);
      }
    }
    return true;
  }

  /// Checks the sum of the last data. What is missing behind it does not matter.
  bool finish() {
    if (setjmp(mark_) != 0) return ended_;
    png_read_end(png_, nullptr);
    return true;
  }

  tl::unexpected<error> why() const {
    if (stopped_) return fail(in_.meter.why());
    if (std::strcmp(text_, "Out of memory") == 0) {
      return fail(ec::out_of_memory, "no memory for a picture");
    }
    const std::string_view text(text_);
    if (text.find("unhandled critical chunk") != text.npos) {
      return not_supported(image_format::png, fmt::format("the chunk {}", text.substr(0, 4)));
    }
    return damaged(image_format::png, text_);
  }

 private:
  static png_reader& self(png_structp p) { return *static_cast<png_reader*>(png_get_error_ptr(p)); }

  [[noreturn]] void leave(const char* why) {
    std::snprintf(text_, sizeof text_, "%s", why);
    std::longjmp(mark_, 1);
  }

  // Between rows and between blocks of data: a few bytes may be many rows, and much data none.
  void watch() {
    if (in_.meter.go_on()) return;
    stopped_ = true;
    std::longjmp(mark_, 1);
  }

  void take(png_bytep to, std::size_t n) {
    constexpr std::size_t often = std::size_t{64} << 10;
    if (at_ / often != (at_ + n) / often || n > 1024) watch();
    if (n > in_.file.size() - at_) {
      ended_ = true;
      leave("it is cut short");
    }
    std::memcpy(to, in_.file.data() + at_, n);
    at_ += n;
  }

  const decoder_input& in_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf mark_{};
  char text_[160] = "";
  std::size_t at_ = 0;
  int passes_ = 1;
  bool stopped_ = false;
  bool ended_ = false;
};

}  // namespace

result<raw_image> decode_png(const decoder_input& in) {
  if (!has_all_data(in.file)) return damaged(image_format::png, "it is cut short");
  png_reader reader(in);
  if (!reader.create()) return fail(ec::out_of_memory, "no memory for a picture");
  if (!reader.open()) return reader.why();
  raw_image out{in.header.width, in.header.height, reader.channels(), {}};
  if (!reader.fills(out)) return damaged(image_format::png, "it tells two sizes");
  out.pixels.resize(out.row() * out.height);
  if (!reader.read(out) || !reader.finish()) return reader.why();
  return out;
}

}  // namespace lp::pipelines
