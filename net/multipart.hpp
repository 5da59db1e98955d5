// SPDX-License-Identifier: MIT
// Forms with files: multipart/form-data (RFC 7578), read and written.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_message.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// One field of a form. Its content is a span of the body, so that a picture of many megabytes is
/// not copied.
struct form_part {
  std::string name;      ///< UTF-8
  std::string filename;  ///< as the client said; never trusted
  bool is_file = false;  ///< a file name was sent, even if an empty one
  std::string mime;      ///< as the client said, in lower case; empty where it said nothing
  std::size_t offset = 0;
  std::size_t size = 0;

  std::string_view content(std::string_view body) const { return body.substr(offset, size); }
};

struct form_limits {
  std::size_t parts = 64;
  std::size_t header_bytes = 4096;  ///< of one part
};

/// The parts in the order they were sent; names may come up several times. ec::unsupported_media
/// unless the type is multipart/form-data, ec::too_large over a limit, ec::bad_request, saying
/// where and what, for everything that is not a form.
result<std::vector<form_part>> parse_form(std::string_view content_type, std::string_view body,
                                          const form_limits& limits = {});
result<std::vector<form_part>> parse_form_body(const request& r);

/// Writes a form. Names and file names must be UTF-8; line breaks and quotes in them are
/// percent-encoded, as browsers do it.
class form_writer {
 public:
  form_writer();

  void add(std::string_view name, std::string_view value);
  void add_file(std::string_view name, std::string_view filename, std::string_view mime,
                std::string_view bytes);

  std::string content_type() const { return "multipart/form-data; boundary=" + boundary_; }
  /// The whole body. The writer is not to be used any more.
  std::string finish() &&;

 private:
  std::string boundary_;
  std::string body_;
};

}  // namespace lp::net
