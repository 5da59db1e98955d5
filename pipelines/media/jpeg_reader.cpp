// SPDX-License-Identifier: MIT
// JPEG with libjpeg-turbo, which Pillow uses too: baseline, progressive and arithmetic coding.
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it first
#include <vector>

#include <jpeglib.h>

#include <jerror.h>

#include "pipelines/media/raw_image.hpp"

namespace lp::pipelines {

namespace {

/// Scans of a progressive picture: encoders make 10 or so. Each is work on every block, however few
/// bytes it has: so many take a third of a second for 16 million pixels.
constexpr int most_scans = 100;

/// Warnings of a picture that is whole all the same.
bool is_harmless(int warning) {
  switch (warning) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_ICC:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_TOO_MUCH_DATA:
      return true;
    default:
      return false;
  }
}

/// libjpeg leaves by longjmp: the functions that set the mark hold nothing that has to be freed,
/// and whatever does is a member.
class jpeg_reader {
 public:
  explicit jpeg_reader(const decoder_input& in) : in_(in) {
    c_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr c) { self(c).leave(); };
    errors_.emit_message = [](j_common_ptr c, int level) {
      if (level < 0 && !is_harmless(c->err->msg_code)) self(c).leave();
    };
    progress_.progress_monitor = [](j_common_ptr c) { self(c).watch(); };
    c_.client_data = this;
  }
  jpeg_reader(const jpeg_reader&) = delete;
  jpeg_reader& operator=(const jpeg_reader&) = delete;
  ~jpeg_reader() { jpeg_destroy_decompress(&c_); }

  /// Reads up to the first scan.
  bool open() {
    if (setjmp(mark_) != 0) return false;
    jpeg_create_decompress(&c_);
    c_.progress = &progress_;
    jpeg_mem_src(&c_, reinterpret_cast<const unsigned char*>(in_.file.data()),
                 static_cast<unsigned long>(in_.file.size()));
    jpeg_read_header(&c_, TRUE);
    return true;
  }

  bool has_size(const image_header& h) const {
    return c_.image_width == h.width && c_.image_height == h.height;
  }
  int components() const { return c_.num_components; }

  /// `out` has its size, and 1 channel for 1 component, else 3.
  bool read(raw_image& out) {
    const bool cmyk = components() == 4;
    if (cmyk) row_.resize(std::size_t{4} * c_.image_width);
    c_.out_color_space = cmyk ? JCS_CMYK : components() == 1 ? JCS_GRAYSCALE : JCS_RGB;
    return read_rows(out, cmyk);
  }

  tl::unexpected<error> why() const {
    if (stopped_) return fail(in_.meter.why());
    switch (errors_.msg_code) {
      case JERR_OUT_OF_MEMORY:
        return fail(ec::out_of_memory, "no memory for a picture");
      case JERR_ARITH_NOTIMPL:
        return not_supported(image_format::jpeg, "arithmetic coding");
      case JERR_BAD_PRECISION:
        return not_supported(image_format::jpeg, "samples of other than 8 bits");
      case JERR_CCIR601_NOTIMPL:
      case JERR_FRACT_SAMPLE_NOTIMPL:
        return not_supported(image_format::jpeg, "its sampling of the colours");
      case JERR_CONVERSION_NOTIMPL:
        return not_supported(image_format::jpeg, "its colours");
      case JERR_SOF_UNSUPPORTED:
        return not_supported(image_format::jpeg, "its coding process");
      default:
        return damaged(image_format::jpeg, text_);
    }
  }

 private:
  static jpeg_reader& self(j_common_ptr c) { return *static_cast<jpeg_reader*>(c->client_data); }

  [[noreturn]] void leave() {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&c_), text_);
    std::longjmp(mark_, 1);
  }

  // Asked at every row of blocks of every scan.
  void watch() {
    if (c_.input_scan_number > most_scans) {
      std::snprintf(text_, sizeof text_, "it has over %d scans", most_scans);
      std::longjmp(mark_, 1);
    }
    if (in_.meter.go_on()) return;
    stopped_ = true;
    std::longjmp(mark_, 1);
  }

  bool read_rows(raw_image& out, bool cmyk) {
    if (setjmp(mark_) != 0) return false;
    jpeg_start_decompress(&c_);
    while (c_.output_scanline < c_.output_height) {
      unsigned char* const to = out.at(c_.output_scanline);
      JSAMPROW row = cmyk ? row_.data() : to;
      jpeg_read_scanlines(&c_, &row, 1);
      if (cmyk) to_rgb(to);
    }
    jpeg_finish_decompress(&c_);
    return true;
  }

  // Pillow takes four inks as Adobe's programs write them, the complement, whatever the file says;
  // its products are rounded.
  void to_rgb(unsigned char* to) const {
    for (std::size_t i = 0; i < row_.size(); i += 4, to += 3) {
      const unsigned light = row_[i + 3];
      for (std::size_t c = 0; c < 3; ++c) {
        const unsigned product = (255U - row_[i + c]) * light + 128;
        to[c] = static_cast<unsigned char>(light - (((product >> 8U) + product) >> 8U));
      }
    }
  }

  const decoder_input& in_;
  jpeg_decompress_struct c_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf mark_{};
  char text_[JMSG_LENGTH_MAX] = "";
  bool stopped_ = false;
  std::vector<unsigned char> row_;
};

}  // namespace

result<raw_image> decode_jpeg(const decoder_input& in) {
  jpeg_reader reader(in);
  if (!reader.open()) return reader.why();
  if (!reader.has_size(in.header)) return damaged(image_format::jpeg, "it tells two sizes");
  const int components = reader.components();
  if (components != 1 && components != 3 && components != 4) {
    return not_supported(image_format::jpeg, fmt::format("{} colour components", components));
  }
  raw_image out{in.header.width, in.header.height, components == 1 ? 1U : 3U, {}};
  out.pixels.resize(out.row() * out.height);
  if (!reader.read(out)) return reader.why();
  return out;
}

}  // namespace lp::pipelines
