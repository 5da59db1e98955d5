// SPDX-License-Identifier: MIT
#include "pipelines/engine/json_file.hpp"

#include <fstream>
#include <optional>
#include <unordered_set>
#include <vector>

#include <fmt/core.h>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>

namespace lp::engine {
namespace {

namespace json = boost::json;

/// Sees the text as a stream of events and keeps the keys of the objects that are open, because
/// Boost.JSON's own parser lets the last of two equal keys win.
struct key_handler {
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  std::vector<std::unordered_set<std::string>> open;
  std::string key;
  std::optional<std::string> duplicate;

  bool on_object_begin(json::error_code&) {
    open.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    open.pop_back();
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& failed) {
    key.append(part.data(), part.size());
    const bool is_new = open.back().insert(key).second;
    if (!is_new) {
      duplicate = key;
      failed = make_error_code(json::error::syntax);
    }
    key.clear();
    return is_new;
  }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

}  // namespace

result<std::string> read_text_file(const std::filesystem::path& path, std::size_t limit) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  if (failed) {
    return fail(ec::bad_file, fmt::format("{}: {}", path.string(), failed.message()));
  }
  if (size > limit) {
    return fail(ec::bad_file,
                fmt::format("{}: {} bytes, expected at most {}", path.string(), size, limit));
  }
  std::string text(size, '\0');
  std::ifstream in(path, std::ios::binary);
  if (!in.read(text.data(), static_cast<std::streamsize>(size))) {
    return fail(ec::bad_file, fmt::format("{}: cannot be read", path.string()));
  }
  return text;
}

result<json::value> parse_json(std::string_view text, const std::filesystem::path& path) {
  json::basic_parser<key_handler> keys{json::parse_options{}};
  json::error_code failed;
  const std::size_t used = keys.write_some(false, text.data(), text.size(), failed);
  if (keys.handler().duplicate) {
    return fail(ec::bad_file, fmt::format("{}: the key \"{}\" is there twice", path.string(),
                                          *keys.handler().duplicate));
  }
  if (!failed && used < text.size()) failed = make_error_code(json::error::extra_data);
  if (failed) {
    return fail(ec::bad_file, fmt::format("{}: not valid JSON at byte {}: {}", path.string(), used,
                                          failed.message()));
  }
  return json::parse(json::string_view(text.data(), text.size()));
}

result<json::object> read_json_file(const std::filesystem::path& path) {
  auto text = read_text_file(path);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text, path);
  if (!value) return fail(std::move(value.error()));
  if (!value->is_object()) {
    return fail(ec::bad_file, fmt::format("{}: expected a JSON object", path.string()));
  }
  return std::move(value->as_object());
}

}  // namespace lp::engine
