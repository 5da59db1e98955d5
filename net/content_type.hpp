// SPDX-License-Identifier: MIT
// "multipart/form-data; boundary=x" and its like: a value with parameters (RFC 9110, 5.6.6).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http_message.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// A header value of that form. `value` and the names are in lower case, the parameters' values as
/// they were sent, without the quotes.
struct parametered {
  std::string value;
  std::vector<header> parameters;

  /// The first parameter of that name, or null.
  const std::string* find(std::string_view name) const { return find_header(parameters, name); }
};

/// ec::bad_request for an unfinished quoted string or a parameter without a value. What a backslash
/// escapes in a quoted string is taken as it is.
result<parametered> parse_parametered(std::string_view text);

/// With A to Z as a to z.
std::string lower_case(std::string_view text);

/// Without spaces and tabs at both ends.
std::string_view trim_blanks(std::string_view text);

}  // namespace lp::net
