// SPDX-License-Identifier: MIT
#include "net/hub_client.hpp"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include "net/digest.hpp"
#include "net/hub_parts.hpp"
#include "net/hub_request.hpp"
#include "net/json_body.hpp"

namespace lp::net {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::uint64_t longest_small_file = 8ULL << 20;

// A path of a hub becomes a path here: it must stay below the folder.
bool stays_below(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.find('\\') != std::string_view::npos ||
      path.find('\0') != std::string_view::npos) {
    return false;
  }
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view step = path.substr(at, end - at);
    if (step.empty() || step == "." || step == "..") return false;
    at = end + 1;
  }
  return true;
}

// Waits in small pieces, so that stopping takes hold.
template <class Stopped>
void pause(milliseconds time, const Stopped& stopped) {
  const time_point until = clock::now() + time;
  while (!stopped() && remaining(until).count() > 0) {
    std::this_thread::sleep_for(std::min(remaining(until), milliseconds(50)));
  }
}

// Tries `once` until it succeeds, cannot succeed, or has been tried often enough.
template <class Once, class Stopped>
auto persist(const hub_options& o, const Once& once, const Stopped& stopped)
    -> result<typename decltype(once())::value_type> {
  milliseconds wait = o.first_pause;
  for (unsigned i = 1; !stopped(); ++i) {
    auto got = once();
    if (got) return std::move(*got);
    if (!got.error().again || i >= o.tries) return fail(std::move(got.error().why));
    pause(std::max(wait, std::min(got.error().pause, o.longest_pause)), stopped);
    wait = std::min(wait * 2, o.longest_pause);
  }
  return fail(ec::cancelled, "the download was stopped");
}

bool never() {
  return false;
}

std::string string_at(const json::object& from, std::string_view key) {
  const json::value* v = from.if_contains(key);
  return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}

bool read_size(const json::object& from, std::uint64_t& size) {
  const json::value* given = from.if_contains("size");
  boost::system::error_code bad;
  if (given == nullptr || !given->is_number()) return false;
  const auto read = given->to_number<std::uint64_t>(bad);
  if (!bad) size = read;
  return !bad;
}

result<hub_file> file_of(const json::value& entry) {
  const json::object* o = entry.if_object();
  hub_file out;
  if (o != nullptr) out.path = string_at(*o, "rfilename");
  if (!stays_below(out.path)) {
    return fail(ec::bad_file, fmt::format("the hub names a file \"{}\"", out.path));
  }
  out.sized = read_size(*o, out.size);
  out.git_sha = string_at(*o, "blobId");
  const json::value* lfs = o->if_contains("lfs");
  if (lfs != nullptr && lfs->is_object()) {
    out.sized = out.sized || read_size(lfs->get_object(), out.size);
    out.sha256 = string_at(lfs->get_object(), "sha256");
    if (out.sha256.empty()) out.sha256 = string_at(lfs->get_object(), "oid");
    out.git_sha.clear();  // it is that of the pointer
  }
  // Some mirrors write zeros where they know nothing.
  if (out.size == 0 && !out.has_digest()) out.sized = false;
  return out;
}

// A range's answer is exactly what was asked for, or it is not taken.
std::optional<std::string> wrong_range(const http_reply& reply, const hub_parts::range& r,
                                       std::uint64_t total) {
  if (reply.status == 200 && r.offset == 0 && r.size == total && reply.body.size() == total) {
    return std::nullopt;  // the whole file in one range
  }
  const std::string* told = find_header(reply.headers, "Content-Range");
  const std::string expected =
      fmt::format("bytes {}-{}/{}", r.offset, r.offset + r.size - 1, total);
  if (reply.status != 206 || told == nullptr || *told != expected) {
    return fmt::format("the hub answered {} with range \"{}\", expected \"{}\"", reply.status,
                       told == nullptr ? "" : *told, expected);
  }
  if (reply.body.size() != r.size) {
    return fmt::format("the hub sent {} bytes of a range of {}", reply.body.size(), r.size);
  }
  return std::nullopt;
}

std::string resolve_path(const hub_name& name, const hub_file& file) {
  return fmt::format("/{}/resolve/{}/{}", encode_path(name.repository), encode_step(name.revision),
                     encode_path(file.path));
}

std::optional<std::uint64_t> number_in(const std::string* text) {
  std::uint64_t out = 0;
  if (text == nullptr || text->empty()) return std::nullopt;
  const auto [end, bad] = std::from_chars(text->data(), text->data() + text->size(), out);
  if (bad != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return out;
}

// A digest of so many digits in an ETag, or nothing: servers put all sorts of things there.
std::string digest_in(const std::string* tag, std::size_t digits) {
  if (tag == nullptr) return {};
  std::string out = *tag;
  if (out.starts_with("W/")) out.erase(0, 2);
  std::erase(out, '"');
  const bool fits =
      out.size() == digits && out.find_first_not_of("0123456789abcdef") == std::string::npos;
  return fits ? out : std::string();
}

// What an answer without a body tells of the file.
void learn(const http_reply& told, hub_file& file) {
  const auto value = [&](std::string_view name) { return find_header(told.headers, name); };
  auto size = number_in(value("X-Linked-Size"));
  if (!size) size = number_in(value("Content-Length"));
  if (size && !file.sized) {
    file.size = *size;
    file.sized = true;
  }
  if (file.has_digest() || value("X-Repo-Commit") == nullptr) return;
  file.sha256 = digest_in(value("X-Linked-ETag"), 64);
  if (file.sha256.empty()) file.git_sha = digest_in(value("ETag"), 40);
}

// The length at the end of "bytes 0-0/123".
std::optional<std::uint64_t> total_in(const http_reply& reply) {
  if (reply.status == 200) return reply.body.size();
  const std::string* range = find_header(reply.headers, "Content-Range");
  const auto slash = range == nullptr ? std::string::npos : range->rfind('/');
  if (slash == std::string::npos) return std::nullopt;
  const std::string total = range->substr(slash + 1);
  return number_in(&total);
}

// One download's threads share this.
class ranged_download {
 public:
  ranged_download(const hub_options& o, url where, hub_parts& parts, std::uint64_t total,
                  const hub_progress& progress, const cancel_token& stop)
      : options_(o),
        where_(std::move(where)),
        parts_(parts),
        total_(total),
        progress_(progress),
        stop_(stop) {}

  result<void> run() {
    tell();
    std::vector<std::thread> threads;
    const unsigned count = std::max(1U, options_.connections);
    for (unsigned i = 1; i < count; ++i) threads.emplace_back([this] { work(); });
    work();
    for (std::thread& t : threads) t.join();
    if (failure_.code != ec::none) return fail(failure_);
    return {};
  }

 private:
  void work() {
    hub_connection connection(options_, [this] { return given_up(); });
    while (!given_up()) {
      const auto range = parts_.take();
      if (!range) return;
      auto stored = persist(
          options_, [&] { return fetch(connection, *range); }, [&] { return given_up(); });
      if (stored) {
        tell();
        continue;
      }
      parts_.give_back(*range);
      return give_up(std::move(stored.error()));
    }
  }

  attempt<bool> fetch(hub_connection& connection, const hub_parts::range& r) {
    const std::string range = fmt::format("bytes={}-{}", r.offset, r.offset + r.size - 1);
    const auto reply = connection.get(where_, range, clock::now() + options_.part_timeout);
    if (!reply) return tl::unexpected<hub_failure>(reply.error());
    if (auto wrong = wrong_range(*reply, r, total_)) {
      return tl::unexpected<hub_failure>({{ec::unavailable, std::move(*wrong), {}}, true, {}});
    }
    if (auto ok = parts_.store(r, reply->body); !ok) {
      return tl::unexpected<hub_failure>({std::move(ok.error()), false, {}});
    }
    return true;
  }

  void tell() {
    const std::lock_guard lock(mutex_);
    if (progress_) progress_(parts_.done(), total_);
  }

  bool given_up() {
    const std::lock_guard lock(mutex_);
    return failure_.code != ec::none || stop_.cancelled();
  }

  void give_up(error why) {
    const std::lock_guard lock(mutex_);
    if (failure_.code == ec::none) failure_ = std::move(why);
  }

  const hub_options& options_;
  url where_;
  hub_parts& parts_;
  std::uint64_t total_;
  const hub_progress& progress_;
  const cancel_token& stop_;
  std::mutex mutex_;
  error failure_;
};

}  // namespace

result<hub_name> parse_hub_name(std::string_view text) {
  constexpr std::string_view scheme = "hf://";
  if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  hub_name out;
  const std::size_t at = text.find('@');
  out.repository = text.substr(0, at);
  if (at != std::string_view::npos) out.revision = text.substr(at + 1);
  const auto plain = [](std::string_view s) {
    return std::all_of(s.begin(), s.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_' || c == '.' || c == '/';
    });
  };
  const bool named = stays_below(out.repository) && plain(out.repository) &&
                     std::count(out.repository.begin(), out.repository.end(), '/') <= 1;
  const bool revised = stays_below(out.revision) && plain(out.revision);
  if (named && revised) return out;
  return fail(
      ec::bad_config,
      fmt::format("\"{}\": expected a repository's OWNER/NAME or OWNER/NAME@REVISION", text));
}

result<hub_listing> hub_client::list(const hub_name& name) const {
  const auto where =
      hub_url(options_, fmt::format("/api/models/{}/revision/{}?blobs=true",
                                    encode_path(name.repository), encode_step(name.revision)));
  if (!where) return fail(where.error());
  hub_connection connection(options_);
  const auto once = [&] {
    return connection.get(*where, {}, clock::now() + options_.part_timeout);
  };
  const auto reply = persist(options_, once, never);
  if (!reply) return fail(reply.error());
  const auto body = parse_json(reply->body);
  const json::object* members = body ? body->if_object() : nullptr;
  const json::value* files = members == nullptr ? nullptr : members->if_contains("siblings");
  if (files == nullptr || !files->is_array()) {
    return fail(ec::unavailable,
                fmt::format("{}: the hub's answer has no list of files", name.text()));
  }
  hub_listing out;
  out.commit = string_at(*members, "sha");
  for (const json::value& entry : files->get_array()) {
    auto file = file_of(entry);
    if (!file) return fail(std::move(file.error()));
    out.files.push_back(std::move(*file));
  }
  return out;
}

result<hub_file> hub_client::look_at(const hub_name& name, const hub_file& file) const {
  hub_file out = file;
  if (out.sized && out.has_digest()) return out;
  const auto where = hub_url(options_, resolve_path(name, file));
  if (!where) return fail(where.error());
  hub_connection connection(options_);
  const auto until = [&] { return clock::now() + options_.part_timeout; };
  const auto told = persist(
      options_, [&] { return connection.head(*where, until()); }, never);
  if (told) learn(*told, out);
  if (out.sized) return out;
  if (!told && told.error().code == ec::not_found) return fail(told.error());
  // Some know no HEAD, or no length: a range of one byte tells the whole length.
  const auto first = persist(
      options_, [&] { return connection.get(*where, "bytes=0-0", until(), longest_small_file); },
      never);
  if (!first) return fail(first.error());
  const auto total = total_in(*first);
  if (!total) {
    return fail(ec::unavailable,
                fmt::format("{}: neither the hub's list nor the hub itself tells the size of {}",
                            name.text(), file.path));
  }
  out.size = *total;
  out.sized = true;
  return out;
}

result<std::string> hub_client::read(const hub_name& name, const hub_file& file) const {
  if (file.size > longest_small_file) {
    return fail(ec::too_large, fmt::format("{}: {} bytes", file.path, file.size));
  }
  const auto where = hub_url(options_, resolve_path(name, file));
  if (!where) return fail(where.error());
  hub_connection connection(options_);
  const auto once = [&] {
    return connection.get(*where, {}, clock::now() + options_.part_timeout, longest_small_file);
  };
  auto reply = persist(options_, once, never);
  if (!reply) return fail(std::move(reply.error()));
  return std::move(reply->body);
}

result<void> hub_client::download(const hub_name& name, const hub_file& listed,
                                  const fs::path& target, const hub_progress& progress,
                                  const cancel_token& stop) const {
  const auto looked = listed.sized ? result<hub_file>(listed) : look_at(name, listed);
  if (!looked) return fail(looked.error());
  const hub_file& file = *looked;
  const auto where = hub_url(options_, resolve_path(name, file));
  if (!where) return fail(where.error());
  const std::string& identity = file.sha256.empty() ? file.git_sha : file.sha256;
  auto parts = hub_parts::open(target, identity.empty() ? "-" : identity, file.size,
                               std::max<std::uint64_t>(1, options_.part_bytes));
  if (!parts) return fail(std::move(parts.error()));
  auto done = ranged_download(options_, *where, **parts, file.size, progress, stop).run();
  if (!done) return done;
  if (!(*parts)->complete()) return fail(ec::cancelled, "the download was stopped");
  if (auto right = verify_file((*parts)->file(), file); !right) {
    (*parts)->discard();
    return right;
  }
  return (*parts)->finish(target);
}

result<void> verify_file(const fs::path& path, const hub_file& file) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) return fail(ec::bad_file, fmt::format("{}: {}", path.string(), error.message()));
  if (!file.sized) {
    return fail(
        ec::bad_file,
        fmt::format("{}: neither its size nor its digest is known; pull it again", path.string()));
  }
  if (size != file.size) {
    return fail(ec::bad_file,
                fmt::format("{}: {} bytes, expected {}", path.string(), size, file.size));
  }
  const bool large = !file.sha256.empty();
  const std::string& wanted = large ? file.sha256 : file.git_sha;
  if (wanted.empty()) return {};
  const auto digest = digest_of(path, large ? digest_kind::sha256 : digest_kind::git_blob);
  if (!digest) return fail(digest.error());
  if (*digest == wanted) return {};
  return fail(ec::bad_file,
              fmt::format("{}: its digest is {}, expected {}", path.string(), *digest, wanted));
}

}  // namespace lp::net
