// SPDX-License-Identifier: MIT
#include "net/content_coding.hpp"

#include <array>

#include <zlib.h>

#include <fmt/format.h>
#include <boost/beast/core/string.hpp>

#include "net/content_type.hpp"

namespace lp::net {

namespace {

using boost::beast::iequals;

// Of zlib's inflateInit2(): a window of 32 KiB in a gzip or a zlib wrapping, or in none.
constexpr int gzip_window = 15 + 16;
constexpr int zlib_window = 15;
constexpr int raw_window = -15;

const char* name_of(coding how) {
  return how == coding::gzip ? "gzip" : "deflate";
}

tl::unexpected<error> wrong(coding how, std::string_view what) {
  return fail(ec::bad_request,
              fmt::format("the body is not {} as Content-Encoding says: {}", name_of(how), what));
}

}  // namespace

result<coding> content_coding(const std::vector<header>& headers) {
  coding out = coding::identity;
  for (const header& h : headers) {
    if (!iequals(h.name, "Content-Encoding")) continue;
    for (std::string_view rest = h.value; !rest.empty();) {
      const std::string_view name = trim_blanks(rest.substr(0, rest.find(',')));
      rest.remove_prefix(std::min(rest.find(','), rest.size() - 1) + 1);
      if (name.empty() || iequals(name, "identity")) continue;
      const bool gzip = iequals(name, "gzip") || iequals(name, "x-gzip");
      if ((!gzip && !iequals(name, "deflate")) || out != coding::identity) {
        return fail(ec::unsupported_media,
                    fmt::format("Content-Encoding must be one of {} or absent, not {}",
                                accepted_codings, h.value));
      }
      out = gzip ? coding::gzip : coding::deflate;
    }
  }
  return out;
}

struct body_decoder::stream : z_stream {};

body_decoder::body_decoder(coding how) : how_(how), stream_(std::make_unique<stream>()) {}

body_decoder::~body_decoder() {
  if (begun_) ::inflateEnd(stream_.get());
}

// "deflate" means zlib's wrapping, but some clients leave it out. Its first byte tells: the method
// is 8, the window at most 32 KiB; raw data that begins so has a stored block of odd length, which
// nobody writes.
bool body_decoder::begin(unsigned char first) {
  const bool wrapped = (first & 0x0F) == 8 && (first >> 4) <= 7;
  const int window = how_ == coding::gzip ? gzip_window : wrapped ? zlib_window : raw_window;
  begun_ = ::inflateInit2(stream_.get(), window) == Z_OK;
  return begun_;
}

result<void> body_decoder::feed(std::string_view bytes, const sink& out) {
  if (bytes.empty()) return {};
  if (!begun_ && !begin(static_cast<unsigned char>(bytes[0]))) {
    return fail(ec::internal, "no memory for decoding a body");
  }
  std::array<char, 16 * 1024> room;
  // zlib does not write to what it reads.
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream_->avail_in = static_cast<uInt>(bytes.size());
  do {
    if (ended_) {
      if (stream_->avail_in == 0) break;
      // A gzip file may have several members; behind anything else nothing is expected.
      if (how_ != coding::gzip) return wrong(how_, "it goes on behind its end");
      ended_ = false;
      ::inflateReset(stream_.get());
    }
    stream_->next_out = reinterpret_cast<Bytef*>(room.data());
    stream_->avail_out = static_cast<uInt>(room.size());
    const int code = ::inflate(stream_.get(), Z_NO_FLUSH);
    if (code == Z_MEM_ERROR) return fail(ec::internal, "no memory for decoding a body");
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return wrong(how_, stream_->msg != nullptr ? stream_->msg : "it needs a dictionary");
    }
    ended_ = code == Z_STREAM_END;
    const std::size_t made = room.size() - stream_->avail_out;
    if (made > 0 && !out({room.data(), made})) return {};
  } while (stream_->avail_in > 0 || stream_->avail_out == 0);
  return {};
}

result<void> body_decoder::finish() const {
  if (ended_ || !begun_) return {};
  return wrong(how_, "it ends too early");
}

}  // namespace lp::net
