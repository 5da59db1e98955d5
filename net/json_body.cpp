// SPDX-License-Identifier: MIT
#include "net/json_body.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <boost/beast/core/string.hpp>
#include <boost/json/stream_parser.hpp>

#include "net/content_type.hpp"
#include "runtime/base/byte_order_mark.hpp"

namespace lp::net {

namespace {

namespace json = boost::json;
using boost::beast::iequals;

constexpr std::size_t depth_limit = 32;

result<void> check_content_type(const request& r) {
  const std::string* header = find_header(r.headers, "Content-Type");
  if (!header || *header == "application/json") return {};
  // Parameters mean nothing for JSON, "charset" least of all (RFC 8259, 11).
  const std::string_view type = trim_blanks(std::string_view(*header).substr(0, header->find(';')));
  if (iequals(type, "application/json")) return {};
  return fail(ec::unsupported_media,
              fmt::format("Content-Type must be application/json, not {}", type));
}

// "line 2, column 7", counted from 1 in bytes, as editors show it for ASCII.
std::string position(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
  return fmt::format("line {}, column {}", line, before.size() - start + 1);
}

}  // namespace

result<json::value> parse_json(std::string_view text) {
  text = without_mark(text);
  if (trim_blanks(text).empty())
    return fail(ec::bad_request, "the body is empty, JSON is expected");
  if (!is_utf8(text)) return fail(ec::bad_request, "the body is not UTF-8");
  json::parse_options options;
  options.max_depth = depth_limit;
  json::stream_parser parser({}, options);
  boost::system::error_code error;
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && !parser.done()) parser.finish(error);
  if (error) {
    return fail(ec::bad_request, fmt::format("the body is not JSON: {} at {}", error.message(),
                                             position(text, used)));
  }
  const std::size_t extra = text.find_first_not_of(" \t\r\n", used);
  if (extra != std::string_view::npos) {
    return fail(ec::bad_request,
                fmt::format("the body goes on behind its JSON value at {}", position(text, extra)));
  }
  return parser.release();
}

result<json::value> parse_json_body(const request& r) {
  if (auto type = check_content_type(r); !type) return fail(std::move(type.error()));
  return parse_json(r.body);
}

}  // namespace lp::net
