// SPDX-License-Identifier: MIT
// Pictures of strangers: whatever the bytes, there is an error of a known kind or a whole picture
// of the size that the header tells.
#include <cstdlib>
#include <string>
#include <string_view>

#include <boost/crc.hpp>

#include "pipelines/media/decode.hpp"
#include "pipelines/media/image_header.hpp"

namespace {

using namespace lp::pipelines;

void require(bool right) {
  if (!right) std::abort();
}

bool is_known(lp::ec code) {
  return code == lp::ec::bad_file || code == lp::ec::unsupported_media || code == lp::ec::too_large;
}

void try_file(std::string_view file) {
  const decode_limits limits{.max_pixels = 1 << 16, .processor_time = lp::seconds(1)};
  const auto header = read_image_header(file);
  const auto image = decode_image(file, limits);
  const auto mask = decode_mask(file, limits);
  require(header || is_known(header.error().code));
  require(header || (!image && !mask));
  require(image || is_known(image.error().code));
  require(mask || is_known(mask.error().code));
  if (image) {
    require(image->width == header->upright_width() && image->height == header->upright_height());
    require(image->pixels.size() == std::size_t{3} * image->width * image->height);
  }
  if (mask) require(mask->pixels.size() == std::size_t{mask->width} * mask->height);
}

// Changed chunks with right sums, so that more than the sums is tested.
std::string with_right_sums(std::string file) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(file[at]); };
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = std::size_t{byte(at)} << 24U | std::size_t{byte(at + 1)} << 16U |
                               std::size_t{byte(at + 2)} << 8U | byte(at + 3);
    if (length > file.size() - at - 12) break;
    boost::crc_32_type crc;
    crc.process_bytes(file.data() + at + 4, length + 4);
    at += 8 + length;
    for (int shift = 24; shift >= 0; shift -= 8) {
      file[at++] = static_cast<char>(crc.checksum() >> static_cast<unsigned>(shift));
    }
  }
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  try_file(file);
  if (file.starts_with("\x89PNG\r\n\x1a\n")) try_file(with_right_sums(std::string(file)));
  return 0;
}
