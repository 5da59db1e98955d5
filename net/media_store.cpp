// SPDX-License-Identifier: MIT
#include "net/media_store.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "net/http_errors.hpp"

namespace lp::net {

namespace {

constexpr std::string_view prefix = "/media/";

std::string_view extension(std::string_view mime) {
  struct row {
    std::string_view mime;
    std::string_view extension;
  };
  static constexpr row rows[] = {
      {"image/png", ".png"}, {"image/jpeg", ".jpg"}, {"image/webp", ".webp"}, {"image/gif", ".gif"},
      {"video/mp4", ".mp4"}, {"audio/wav", ".wav"},  {"audio/mpeg", ".mp3"},
  };
  for (const row& r : rows) {
    if (r.mime == mime) return r.extension;
  }
  return ".bin";
}

bool parse_number(std::string_view text, std::size_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

enum class range_kind { whole, part, unsatisfiable };

// One "bytes=first-last" range. Anything else (several ranges, other units, malformed) may be
// ignored by a server and means the whole item (RFC 9110 section 14.2).
range_kind parse_range(std::string_view text, std::size_t size, std::size_t& first,
                       std::size_t& count) {
  constexpr std::string_view unit = "bytes=";
  if (!text.starts_with(unit)) return range_kind::whole;
  text.remove_prefix(unit.size());
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos) {
    return range_kind::whole;
  }
  const std::string_view from = text.substr(0, dash);
  const std::string_view to = text.substr(dash + 1);
  std::size_t last = size;
  if (from.empty()) {  // the last N bytes
    if (!parse_number(to, last)) return range_kind::whole;
    count = std::min(last, size);
    first = size - count;
    return count > 0 ? range_kind::part : range_kind::unsatisfiable;
  }
  if (!parse_number(from, first)) return range_kind::whole;
  if (!to.empty() && (!parse_number(to, last) || last < first)) return range_kind::whole;
  if (first >= size) return range_kind::unsatisfiable;
  count = std::min(last, size - 1) - first + 1;
  return range_kind::part;
}

response not_found(const request& r) {
  return error_response({ec::not_found, fmt::format("{} is not here or no longer", r.path), {}});
}

}  // namespace

result<std::string> media_store::put(shared_bytes data, std::string mime, time_point now,
                                     std::optional<duration> keep) {
  const std::uint64_t size = data ? data->size() : 0;
  if (size > limits_.bytes || limits_.count == 0) {
    return fail(ec::too_large, fmt::format("{} do not fit into the media store of {}",
                                           human_bytes(size), human_bytes(limits_.bytes)));
  }
  std::string id = random_hex(16);
  const std::lock_guard lock(mutex_);
  expire_locked(now);
  while (!entries_.empty() && (entries_.size() >= limits_.count || bytes_ + size > limits_.bytes)) {
    erase(entries_.begin());
  }
  entries_.push_back({id, {std::move(mime), std::move(data), now + keep.value_or(limits_.keep)}});
  by_id_.emplace(entries_.back().id, std::prev(entries_.end()));
  bytes_ += size;
  return id;
}

std::optional<media_store::item> media_store::get(std::string_view id, time_point now) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || found->second->what.expires <= now) return std::nullopt;
  return found->second->what;
}

void media_store::expire(time_point now) {
  const std::lock_guard lock(mutex_);
  expire_locked(now);
}

void media_store::expire_locked(time_point now) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    const auto current = it++;
    if (current->what.expires <= now) erase(current);
  }
}

void media_store::erase(entries::iterator which) {
  by_id_.erase(which->id);
  bytes_ -= which->what.data ? which->what.data->size() : 0;
  entries_.erase(which);
}

std::uint64_t media_store::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::size_t media_store::count() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::string media_path(std::string_view id, std::string_view mime) {
  return fmt::format("{}{}{}", prefix, id, extension(mime));
}

response media_response(const media_store& store, const request& r, time_point now) {
  if (!r.path.starts_with(prefix)) return not_found(r);
  const std::string_view name = std::string_view(r.path).substr(prefix.size());
  const std::string_view id = name.substr(0, name.find('.'));
  const auto found = store.get(id, now);
  if (!found || name.substr(id.size()) != extension(found->mime)) return not_found(r);

  // The id stands for these bytes for ever, so it is the entity tag and nothing need be asked again
  // before the item expires.
  const std::string tag = fmt::format("\"{}\"", id);
  const auto age = std::chrono::duration_cast<seconds>(found->expires - now);
  response out;
  out.headers = {{"ETag", tag},
                 {"Cache-Control", fmt::format("private, max-age={}, immutable", age.count())}};
  if (r.header_value("If-None-Match") == tag) {
    out.status = 304;
    return out;
  }
  const std::size_t size = found->data ? found->data->size() : 0;
  out.headers.push_back({"Content-Type", found->mime});
  out.headers.push_back({"Accept-Ranges", "bytes"});
  switch (parse_range(r.header_value("Range"), size, out.first, out.count)) {
    case range_kind::unsatisfiable:
      out = error_response(416, fmt::format("the item has {} bytes", size));
      out.headers.push_back({"Content-Range", fmt::format("bytes */{}", size)});
      return out;
    case range_kind::part:
      out.status = 206;
      out.headers.push_back({"Content-Range", fmt::format("bytes {}-{}/{}", out.first,
                                                          out.first + out.count - 1, size)});
      break;
    case range_kind::whole:
      out.first = 0;
      out.count = std::string::npos;
      break;
  }
  out.body = found->data;
  return out;
}

}  // namespace lp::net
