// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_message.hpp"

namespace lp::net {

/// Finds the handler by path and method. Filled before the server starts, constant afterwards.
/// Unknown paths are answered 404, known ones with another method 405 with Allow, both in the form
/// of error_response(). HEAD is served by the GET handler (the server leaves out the body; the
/// handler sees method "HEAD"), and OPTIONS is answered for every path.
class router {
 public:
  /// Exactly this path, for example ("POST", "/text-to-image").
  void add(std::string method, std::string path, handler h);

  /// Every path that begins with `prefix`, for example ("GET", "/media/"). The longest prefix wins;
  /// an exact path goes before any prefix.
  void add_prefix(std::string method, std::string prefix, handler h);

  /// What can be answered from a request's head alone: an unknown path or method, and OPTIONS (204
  /// with Allow). Nothing where there is a handler for it.
  std::optional<response> check(const request& head) const;

  void operator()(request&& r, responder reply) const;

 private:
  using methods = std::map<std::string, handler, std::less<>>;
  const methods* find(std::string_view path) const;
  static methods::const_iterator find(const methods& known, const request& head);

  std::map<std::string, methods, std::less<>> exact_;
  std::map<std::string, methods, std::less<>> prefixes_;
};

}  // namespace lp::net
