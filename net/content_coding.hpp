// SPDX-License-Identifier: MIT
// Bodies that clients compressed: Content-Encoding gzip and deflate (RFC 9110, 8.4.1).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_message.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// What is taken, as a header's value.
constexpr std::string_view accepted_codings = "gzip, deflate";

enum class coding { identity, gzip, deflate };

/// How a body is encoded by its headers. ec::unsupported_media for another coding and for several
/// on top of each other; the message names what is taken.
result<coding> content_coding(const std::vector<header>& headers);

/// Decodes a body as it comes.
class body_decoder {
 public:
  /// Takes decoded bytes, at most 16 KiB at a time; false ends the decoding, which keeps a small
  /// body from becoming a large one.
  using sink = std::function<bool(std::string_view)>;

  explicit body_decoder(coding how);
  body_decoder(const body_decoder&) = delete;
  body_decoder& operator=(const body_decoder&) = delete;
  ~body_decoder();

  /// ec::bad_request for what is not of that coding. Decoding stops in silence where the sink has
  /// enough.
  result<void> feed(std::string_view bytes, const sink& out);
  /// ec::bad_request if the body ends too early.
  result<void> finish() const;

 private:
  struct stream;
  bool begin(unsigned char first);

  const coding how_;
  std::unique_ptr<stream> stream_;
  bool begun_ = false;
  bool ended_ = false;  ///< a member of a gzip file, or the one zlib stream
};

}  // namespace lp::net
