// SPDX-License-Identifier: MIT
#include "net/hub_request.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>

#include <curl/curl.h>
#include <fmt/format.h>

namespace lp::net {

namespace {

constexpr long most_redirections = 5;
constexpr std::size_t most_headers = 256;

std::string origin(const url& u) {
  const bool v6 = u.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", u.tls ? "https" : "http", v6 ? "[" : "", u.host,
                     v6 ? "]" : "", u.port);
}

std::string text_of(const http_reply& reply, std::string_view name) {
  const std::string* found = find_header(reply.headers, name);
  return found == nullptr ? std::string() : *found;
}

// Retry-After in seconds; a date, the other form, counts as not given.
milliseconds asked_pause(const http_reply& reply) {
  const std::string text = text_of(reply, "Retry-After");
  unsigned count = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (bad != std::errc() || end != text.data() + text.size() || count > 3600) return {};
  return seconds(count);
}

// `where` without its query, which may hold an access key.
hub_failure refusal(const std::string& where, const http_reply& reply) {
  const std::string reason = text_of(reply, "X-Error-Message");
  const std::string told =
      fmt::format("{}: {}{}{}", where, reply.status, reason.empty() ? "" : ", ", reason);
  switch (reply.status) {
    case 401:
    case 403:
      return {{ec::unauthorized, told + ": a token that may read it is needed", {}}, false, {}};
    case 404:
      return {{ec::not_found, told, {}}, false, {}};
    case 407:
      return {{ec::unauthorized, told + ": the proxy wants a name and a password", {}}, false, {}};
    case 416:
      return {{ec::bad_file, told + ": the file is shorter than its list says", {}}, false, {}};
    default:
      break;
  }
  const bool again = reply.status == 408 || reply.status == 429 || reply.status >= 500;
  return {{ec::unavailable, told, {}}, again, asked_pause(reply)};
}

// OpenSSL writes to sockets without MSG_NOSIGNAL: a connection that breaks would end the program.
class no_pipe_signal {
 public:
  no_pipe_signal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t waiting;
    sigpending(&waiting);
    was_waiting_ = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~no_pipe_signal() {
    const timespec now{};
    if (!was_waiting_) sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  no_pipe_signal(const no_pipe_signal&) = delete;
  no_pipe_signal& operator=(const no_pipe_signal&) = delete;

 private:
  sigset_t pipe_{}, before_{};
  bool was_waiting_ = false;
};

struct list_closing {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

CURL* open_handle() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready ? curl_easy_init() : nullptr;
}

hub_failure failure_of(CURLcode code, const std::string& told) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return {{ec::deadline_exceeded, told, {}}, true, {}};
    case CURLE_ABORTED_BY_CALLBACK:
      return {{ec::cancelled, "the download was stopped", {}}, false, {}};
    case CURLE_SSL_CACERT_BADFILE:
      return {{ec::bad_config, told, {}}, false, {}};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_WRITE_ERROR:
      return {{ec::unavailable, told, {}}, false, {}};
    default:
      return {{ec::unavailable, told, {}}, true, {}};
  }
}

}  // namespace

/// One request and its answer, as libcurl's callbacks fill it.
struct hub_connection::exchange {
  std::string range{};
  bool to_head = false;
  std::uint64_t most = most_bytes;
  const hub_stopped* stopped = nullptr;
  std::unique_ptr<curl_slist, list_closing> headers{};
  std::array<char, CURL_ERROR_SIZE> trouble{};
  http_reply reply{};
  bool too_long = false;

  void add_header(const std::string& line) {
    headers.reset(curl_slist_append(headers.release(), line.c_str()));
  }

  // A new answer begins, perhaps after a redirection.
  void begin() {
    reply.body.clear();
    std::erase_if(reply.headers, [](const header& h) {
      return h.name.size() < 2 || (h.name[0] != 'X' && h.name[0] != 'x') || h.name[1] != '-';
    });
  }

  static std::size_t take_header(char* data, std::size_t one, std::size_t count, void* self) {
    auto& e = *static_cast<exchange*>(self);
    std::string_view line(data, one * count);
    if (line.starts_with("HTTP/")) e.begin();
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || e.reply.headers.size() >= most_headers) {
      return one * count;
    }
    const auto first = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
    // Of two of one name the later is what counts: it is of the later answer.
    e.reply.headers.insert(e.reply.headers.begin(),
                           {std::string(line.substr(0, colon)), std::string(line.substr(first))});
    return one * count;
  }

  static std::size_t take_body(char* data, std::size_t one, std::size_t count, void* self) {
    auto& e = *static_cast<exchange*>(self);
    e.too_long = e.reply.body.size() + one * count > e.most;
    if (e.too_long) return 0;
    e.reply.body.append(data, one * count);
    return one * count;
  }

  static int look(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const auto& e = *static_cast<exchange*>(self);
    return *e.stopped && (*e.stopped)() ? 1 : 0;
  }
};

void hub_connection::closing::operator()(void* handle) const {
  const no_pipe_signal quiet;
  curl_easy_cleanup(handle);
}

hub_connection::hub_connection(const hub_options& options, hub_stopped stopped)
    : options_(options), stopped_(std::move(stopped)), handle_(open_handle()) {}

bool hub_connection::prepare(exchange& e, const std::string& address, time_point deadline) {
  CURL* const h = handle_.get();
  bool good = true;
  const auto set = [&](CURLoption option, auto value) {
    good = good && curl_easy_setopt(h, option, value) == CURLE_OK;
  };
  const auto left = static_cast<long>(std::max<std::int64_t>(1, remaining(deadline).count()));
  curl_easy_reset(h);  // its connections stay
  set(CURLOPT_URL, address.c_str());
  set(CURLOPT_HTTPHEADER, e.headers.get());
  set(CURLOPT_NOBODY, e.to_head ? 1L : 0L);
  if (!e.range.empty()) set(CURLOPT_RANGE, e.range.c_str());
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, most_redirections);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_TIMEOUT_MS, left);
  set(CURLOPT_CONNECTTIMEOUT_MS, left);
  set(CURLOPT_ERRORBUFFER, e.trouble.data());
  set(CURLOPT_HEADERFUNCTION, &exchange::take_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&e));
  set(CURLOPT_WRITEFUNCTION, &exchange::take_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&e));
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &exchange::look);
  set(CURLOPT_XFERINFODATA, static_cast<void*>(&e));
  if (!options_.tls.authority.empty()) set(CURLOPT_CAINFO, options_.tls.authority.c_str());
  return good;
}

attempt<http_reply> hub_connection::send(const url& where, exchange& e, time_point deadline) {
  const std::string address = origin(where) + where.target;
  e.stopped = &stopped_;
  e.add_header("User-Agent: lp-runtime");
  e.add_header("Accept-Encoding: identity");
  // libcurl leaves it out where a redirection leads to another host, port or scheme.
  if (!options_.token.empty()) e.add_header("Authorization: Bearer " + options_.token);
  if (!handle_ || !prepare(e, address, deadline)) {
    return tl::unexpected<hub_failure>({{ec::internal, "libcurl cannot be used", {}}, false, {}});
  }
  CURLcode code = CURLE_OK;
  {
    const no_pipe_signal quiet;
    code = curl_easy_perform(handle_.get());
  }
  if (code != CURLE_OK) {
    const char* what = e.trouble[0] != '\0' ? e.trouble.data() : curl_easy_strerror(code);
    const std::string told = e.too_long ? fmt::format("more than {} bytes", e.most) : what;
    return tl::unexpected<hub_failure>(
        failure_of(code, fmt::format("{}: {}", origin(where), told)));
  }
  long status = 0;
  char* last = nullptr;
  curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(handle_.get(), CURLINFO_EFFECTIVE_URL, &last);
  e.reply.status = static_cast<unsigned>(status);
  if (status == 200 || status == 206) return std::move(e.reply);
  const std::string at = last == nullptr ? address : last;
  return tl::unexpected<hub_failure>(refusal(at.substr(0, at.find('?')), e.reply));
}

attempt<http_reply> hub_connection::get(const url& where, const std::string& range,
                                        time_point deadline, std::uint64_t most) {
  exchange e;
  constexpr std::string_view unit = "bytes=";
  e.range = range.starts_with(unit) ? range.substr(unit.size()) : range;
  e.most = most;
  return send(where, e, deadline);
}

attempt<http_reply> hub_connection::head(const url& where, time_point deadline) {
  exchange e;
  e.to_head = true;
  return send(where, e, deadline);
}

result<url> hub_url(const hub_options& options, const std::string& path) {
  std::string base = options.endpoint;
  while (base.ends_with('/')) base.pop_back();
  return parse_url(base + path);
}

namespace {

std::string encode(std::string_view text, std::string_view also_plain) {
  std::string out;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool plain =
        letter || (c >= '0' && c <= '9') || also_plain.find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

std::string encode_path(std::string_view path) {
  return encode(path, "-._~/@");
}

std::string encode_step(std::string_view step) {
  return encode(step, "-._~");
}

}  // namespace lp::net
