// SPDX-License-Identifier: MIT
#include "pipelines/engine/json_file.hpp"

#include <fstream>
#include <unordered_set>
#include <vector>

#include <fmt/core.h>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>

#include "pipelines/weights/foreign_file.hpp"
#include "runtime/base/byte_order_mark.hpp"

namespace lp::engine {
namespace {

namespace json = boost::json;

/// Sees the text as a stream of events, because Boost.JSON's own parser lets the last of two equal
/// keys win. Counts the keys; where asked to, keeps those of the objects that are open and stops at
/// the first that comes twice.
struct key_handler {
  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  explicit key_handler(bool find_duplicate) : find(find_duplicate) {}

  bool find;
  std::size_t count = 0;
  std::vector<std::unordered_set<std::string>> open;
  std::string key;

  bool on_object_begin(json::error_code&) {
    if (find) open.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    if (find) open.pop_back();
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    if (find) key.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& failed) {
    ++count;
    if (!find) return true;
    key.append(part.data(), part.size());
    if (!open.back().insert(key).second) {
      failed = make_error_code(json::error::syntax);
      return false;  // `key` keeps the duplicate
    }
    key.clear();
    return true;
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

/// Keys of all objects in the value.
std::size_t count_keys(const json::value& value) {
  std::size_t count = 0;
  if (const json::object* object = value.if_object()) {
    count = object->size();
    for (const auto& entry : *object) count += count_keys(entry.value());
  } else if (const json::array* array = value.if_array()) {
    for (const json::value& element : *array) count += count_keys(element);
  }
  return count;
}

/// The first key that an object has twice; "" if there is none.
std::string find_duplicate(std::string_view text) {
  json::basic_parser<key_handler> keys(json::parse_options{}, true);
  json::error_code failed;
  keys.write_some(false, text.data(), text.size(), failed);
  return keys.handler().key;
}

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
  if (const auto is = pipelines::what_it_is(std::string_view(text)); !is.empty()) {
    return fail(ec::bad_file, fmt::format("{}: it is {}", path.string(), is));
  }
  text.erase(0, text.size() - without_mark(text).size());
  return text;
}

result<json::value> parse_json(std::string_view text, const std::filesystem::path& path) {
  json::basic_parser<key_handler> keys(json::parse_options{}, false);
  json::error_code failed;
  const std::size_t used = keys.write_some(false, text.data(), text.size(), failed);
  if (!failed && used < text.size()) failed = make_error_code(json::error::extra_data);
  if (failed) {
    return fail(ec::bad_file, fmt::format("{}: not valid JSON at byte {}: {}", path.string(), used,
                                          failed.message()));
  }
  json::value value = json::parse(json::string_view(text.data(), text.size()));
  // Counting is much cheaper than remembering the keys of a vocabulary.
  if (count_keys(value) != keys.handler().count) {
    return fail(ec::bad_file, fmt::format("{}: the key \"{}\" is there twice", path.string(),
                                          find_duplicate(text)));
  }
  return value;
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
