// SPDX-License-Identifier: MIT
// Inside the server: bytes to requests. Beast's grammar, made stricter where two readers of one
// message could disagree about where it ends.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/beast/http/basic_parser.hpp>

#include "net/body_budget.hpp"
#include "net/content_coding.hpp"
#include "net/http_message.hpp"

namespace lp::net {

/// Why a request is not taken, as status and message.
struct refusal {
  unsigned status = 400;
  std::string message;
};

/// Splits `r.target` into decoded path and query. The refusal says what is wrong with it.
std::optional<refusal> split_target(request& r);

/// Reads one request. Feed it until done() or failure().
class request_parser : private boost::beast::http::basic_parser<true> {
 public:
  /// `budget`: what bodies over small_body share; none: each is bounded alone.
  request_parser(std::size_t header_limit, std::size_t body_limit,
                 std::shared_ptr<body_budget> budget = {});

  /// Takes bytes from the front of `data` and says how many. Zero: give it more with the next
  /// bytes appended. Stops once behind the header and at the end.
  std::size_t feed(std::string_view data);

  bool started() const { return started_; }
  bool header_done() const { return is_header_done(); }
  bool done() const { return is_done(); }
  const std::optional<refusal>& failure() const { return failure_; }

  /// Valid behind the header.
  bool wants_continue() const { return wants_continue_; }
  bool keep_alive() const { return boost::beast::http::basic_parser<true>::keep_alive(); }
  bool is_head() const { return request_.method == "HEAD"; }
  bool compressed() const { return decoder_ != nullptr; }
  const request& head() const { return request_; }
  /// Whether the body is known to be at most small_body long.
  bool small() const;
  /// Takes a smaller body than at first, or refuses it.
  void limit_body(std::size_t limit);
  /// Refuses a body whose claimed length has no room now.
  void check_room();
  /// Forgets what came of the body.
  void drop_body();

  /// Valid once done.
  request take();

 private:
  using error_code = boost::beast::error_code;
  using view = boost::beast::string_view;
  using verb = boost::beast::http::verb;
  using field = boost::beast::http::field;
  using chunk_size = std::uint64_t;

  void on_request_impl(verb, view method, view target, int version, error_code& ec) override;
  void on_response_impl(int, view, int, error_code&) override {}
  void on_field_impl(field, view name, view value, error_code& ec) override;
  void on_header_impl(error_code& ec) override;
  void on_body_init_impl(const boost::optional<chunk_size>& length, error_code& ec) override;
  std::size_t on_body_impl(view bytes, error_code& ec) override;
  void on_chunk_header_impl(chunk_size, view, error_code&) override {}
  std::size_t on_chunk_body_impl(chunk_size remain, view bytes, error_code& ec) override;
  void on_finish_impl(error_code& ec) override;

  std::size_t feed_header(std::string_view data);
  void check_framing();
  void check_coding();
  void check_host();
  bool store(std::string_view bytes);
  void refuse_for_room();
  void refuse(unsigned status, std::string message);
  void refuse(const error_code& ec);

  const std::size_t header_limit_;
  std::size_t body_limit_;
  const std::shared_ptr<body_budget> budget_;
  std::size_t searched_ = 0;  // bytes of the header known to hold no end of it
  bool started_ = false;
  bool wants_continue_ = false;
  bool http11_ = false;
  std::shared_ptr<body_lease> lease_;
  std::unique_ptr<body_decoder> decoder_;
  std::size_t claimed_ = 0;  // by Content-Length
  request request_;
  std::optional<refusal> failure_;
};

}  // namespace lp::net
