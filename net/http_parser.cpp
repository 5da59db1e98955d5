// SPDX-License-Identifier: MIT
#include "net/http_parser.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

namespace lp::net {

namespace {

namespace http = boost::beast::http;

constexpr std::string_view header_end = "\r\n\r\n";

// The parser's own words are terse ("bad target"); clients are told what was expected.
refusal describe(const boost::beast::error_code& ec, std::size_t header_limit,
                 std::size_t body_limit) {
  if (ec == http::error::body_limit) {
    return {413, fmt::format("the body exceeds the limit of {} bytes", body_limit)};
  }
  if (ec == http::error::header_limit) {
    return {431, fmt::format("the header exceeds the limit of {} bytes", header_limit)};
  }
  struct row {
    http::error code;
    const char* message;
  };
  static constexpr row rows[] = {
      {http::error::bad_method, "the request line must begin with a method such as GET"},
      {http::error::bad_target, "the request target is empty or holds a control character"},
      {http::error::bad_version, "the request line must end with HTTP/1.0 or HTTP/1.1"},
      {http::error::bad_line_ending, "lines must end with CR LF"},
      {http::error::bad_field, "a header name is empty or holds a character that is not allowed"},
      {http::error::bad_value, "a header value holds a character that is not allowed"},
      {http::error::bad_content_length,
       "Content-Length must be one decimal number, without "
       "Transfer-Encoding beside it"},
      {http::error::multiple_content_length, "Content-Length is given twice with other values"},
      {http::error::bad_transfer_encoding,
       "Transfer-Encoding is given twice or beside "
       "Content-Length"},
      {http::error::bad_chunk, "a chunk must be a hexadecimal size, CR LF, that many bytes, CR LF"},
      {http::error::bad_chunk_extension, "a chunk size is followed by something malformed"},
  };
  for (const row& r : rows) {
    if (ec == r.code) return {400, r.message};
  }
  return {400, fmt::format("malformed request: {}", ec.message())};
}

bool is_host_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-._:[]").find(c) != std::string_view::npos;
}

}  // namespace

request_parser::request_parser(std::size_t header_limit, std::size_t body_limit,
                               std::shared_ptr<body_budget> budget)
    : header_limit_(header_limit), body_limit_(body_limit), budget_(std::move(budget)) {
  // feed_header() counts; Beast's own limit must not strike first.
  basic_parser::header_limit(static_cast<std::uint32_t>(header_limit + header_end.size()));
  basic_parser::body_limit(static_cast<std::uint64_t>(body_limit));
}

std::size_t request_parser::feed(std::string_view data) {
  if (failure_ || is_done() || data.empty()) return 0;
  if (!is_header_done()) return feed_header(data);
  eager(true);
  error_code ec;
  const std::size_t used = put(boost::asio::buffer(data.data(), data.size()), ec);
  if (ec && ec != http::error::need_more) refuse(ec);
  return used;
}

std::size_t request_parser::feed_header(std::string_view data) {
  // An empty line before a request is to be ignored (RFC 9112 section 2.2).
  if (!started_ && data.starts_with("\r\n")) return 2;
  if (data == "\r") return 0;
  if (!started_ && (data[0] < 'A' || data[0] > 'z')) {
    refuse(400, "this port speaks HTTP: a request begins with a method such as GET");
    return 0;
  }
  started_ = true;
  const std::size_t end = data.find(header_end, searched_);
  const std::size_t size = end == std::string_view::npos ? data.size() : end + header_end.size();
  if (size > header_limit_) {
    refuse(http::make_error_code(http::error::header_limit));
    return 0;
  }
  if (end == std::string_view::npos) {
    searched_ = data.size() - std::min(data.size(), header_end.size() - 1);
    return 0;
  }
  const std::string_view block = data.substr(0, size);
  if (block.find("\r\n ") != std::string_view::npos ||
      block.find("\r\n\t") != std::string_view::npos) {
    refuse(400, "a header must not be folded over several lines");
    return 0;
  }
  error_code ec;
  const std::size_t used = put(boost::asio::buffer(block.data(), block.size()), ec);
  if (ec) refuse(ec);
  return used;
}

void request_parser::on_request_impl(verb, view method, view target, int version, error_code&) {
  request_.method.assign(method.data(), method.size());
  request_.target.assign(target.data(), target.size());
  request_.headers.reserve(16);
  http11_ = version == 11;
}

void request_parser::on_field_impl(field, view name, view value, error_code&) {
  if (is_header_done()) return;  // a trailer: nothing here asks for one
  request_.headers.push_back({std::string(name), std::string(value)});
}

void request_parser::on_header_impl(error_code& ec) {
  if (auto wrong = split_target(request_)) failure_ = std::move(wrong);
  check_host();
  check_framing();
  check_coding();
  if (failure_) ec = boost::system::errc::make_error_code(boost::system::errc::bad_message);
}

void request_parser::check_host() {
  const auto hosts =
      std::count_if(request_.headers.begin(), request_.headers.end(),
                    [](const header& h) { return boost::beast::iequals(h.name, "Host"); });
  if (hosts == 0 && !http11_) return;
  if (hosts != 1) return refuse(400, "exactly one Host header is expected");
  const std::string_view host = request_.header_value("Host");
  if (host.empty() || !std::all_of(host.begin(), host.end(), is_host_char)) {
    refuse(400, "the Host header must be a name or address, with a port if need be");
  }
}

void request_parser::check_framing() {
  if (const std::string* coding = find_header(request_.headers, "Transfer-Encoding")) {
    if (!http11_) return refuse(400, "HTTP/1.0 knows no Transfer-Encoding");
    if (!boost::beast::iequals(*coding, "chunked")) {
      return refuse(501, "the only Transfer-Encoding taken is chunked");
    }
  }
  if (const std::string* expect = find_header(request_.headers, "Expect"); expect && http11_) {
    if (!boost::beast::iequals(*expect, "100-continue")) {
      return refuse(417, "the only expectation that can be met is 100-continue");
    }
    wants_continue_ = true;
  }
}

void request_parser::check_coding() {
  const auto how = content_coding(request_.headers);
  if (!how) return refuse(http_status(how.error().code), how.error().message);
  if (*how != coding::identity) decoder_ = std::make_unique<body_decoder>(*how);
}

bool request_parser::small() const {
  const auto length = content_length();
  return is_done() || (length && *length <= small_body && !decoder_);
}

void request_parser::limit_body(std::size_t limit) {
  if (limit >= body_limit_) return;
  body_limit_ = limit;
  basic_parser::body_limit(static_cast<std::uint64_t>(limit));
  const auto length = content_length();
  if (length && *length > limit) refuse(http::make_error_code(http::error::body_limit));
}

void request_parser::check_room() {
  const auto length = content_length();
  const bool large = budget_ && length && *length > small_body;
  if (large && !budget_->fits(static_cast<std::size_t>(*length))) refuse_for_room();
}

void request_parser::refuse_for_room() {
  refuse(503, fmt::format("the bodies of the requests under way take all of the {} there are for "
                          "them; try again soon",
                          human_bytes(budget_->limit())));
}

void request_parser::drop_body() {
  request_.body = std::string();
  lease_.reset();
}

void request_parser::on_body_init_impl(const boost::optional<chunk_size>& length, error_code&) {
  // Content-Length is within the limit by now, but only a claim: big bodies grow as they come.
  if (length) claimed_ = static_cast<std::size_t>(*length);
  if (budget_) lease_ = std::make_shared<body_lease>(budget_);
  request_.body.reserve(std::min(claimed_, small_body));
}

// False, with a refusal, where there is no room for more.
bool request_parser::store(std::string_view bytes) {
  std::string& body = request_.body;
  const std::size_t size = body.size() + bytes.size();
  if (size > body_limit_) {
    refuse(http::make_error_code(http::error::body_limit));
    return false;
  }
  if (size > body.capacity()) {
    // Doubled, but no further than a plain body will go.
    const std::size_t most = decoder_ || claimed_ < size ? body_limit_ : claimed_;
    const std::size_t room = std::max(size, std::min(2 * body.capacity(), most));
    if (lease_ && !lease_->grow_to(room)) {
      refuse_for_room();
      return false;
    }
    body.reserve(room);
  }
  body.append(bytes);
  return true;
}

std::size_t request_parser::on_body_impl(view bytes, error_code& ec) {
  const std::string_view all(bytes.data(), bytes.size());
  if (!decoder_) {
    store(all);
  } else {
    const auto ok = decoder_->feed(all, [this](std::string_view part) { return store(part); });
    if (!ok) refuse(http_status(ok.error().code), ok.error().message);
  }
  if (failure_) ec = boost::system::errc::make_error_code(boost::system::errc::bad_message);
  return bytes.size();
}

void request_parser::on_finish_impl(error_code& ec) {
  if (!decoder_) return;
  const auto ok = decoder_->finish();
  if (ok) return;
  refuse(http_status(ok.error().code), ok.error().message);
  ec = boost::system::errc::make_error_code(boost::system::errc::bad_message);
}

request request_parser::take() {
  if (decoder_) {
    std::erase_if(request_.headers, [](const header& h) {
      return boost::beast::iequals(h.name, "Content-Encoding");
    });
  }
  request_.lease = std::move(lease_);
  return std::move(request_);
}

std::size_t request_parser::on_chunk_body_impl(chunk_size, view bytes, error_code& ec) {
  return on_body_impl(bytes, ec);
}

void request_parser::refuse(unsigned status, std::string message) {
  if (!failure_) failure_ = refusal{status, std::move(message)};
}

void request_parser::refuse(const error_code& ec) {
  if (!failure_) failure_ = describe(ec, header_limit_, body_limit_);
}

}  // namespace lp::net
