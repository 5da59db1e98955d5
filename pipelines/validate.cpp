// SPDX-License-Identifier: MIT
// Types and texts of the field errors are those of pydantic 2, which the reference answers with;
// clients match on the types.
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "pipelines/description.hpp"
#include "pipelines/media/image_header.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::pipelines {

namespace {

namespace json = boost::json;

struct problem {
  std::string type;
  std::string msg;
};

using checked = tl::expected<json::value, problem>;

tl::unexpected<problem> wrong(std::string type, std::string msg) {
  return tl::unexpected<problem>(problem{std::move(type), std::move(msg)});
}

tl::unexpected<problem> not_finite() {
  return wrong("finite_number", "Input should be a finite number");
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A number's text in the form that std::from_chars takes: no white space around it, no leading
// plus, no underscores between digits.
std::string plain_number(std::string_view text) {
  constexpr std::string_view space = " \t\n\v\f\r";
  const auto first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(space) - first + 1);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool between_digits =
        i > 0 && i + 1 < text.size() && is_digit(text[i - 1]) && is_digit(text[i + 1]);
    if (text[i] != '_' || !between_digits) out += text[i];
  }
  return out;
}

std::string with_advice(const parameter& p, std::string text) {
  return p.advice.empty() ? text : text + ". " + p.advice;
}

tl::unexpected<problem> below(const parameter& p) {
  return wrong("greater_than_equal",
               with_advice(p, fmt::format("Input should be greater than or equal to {}", *p.min)));
}

tl::unexpected<problem> above(const parameter& p) {
  return wrong("less_than_equal",
               with_advice(p, fmt::format("Input should be less than or equal to {}", *p.max)));
}

// The value itself, unless it leaves the parameter's range.
template <class T>
checked in_range(const parameter& p, T value) {
  if (p.min && static_cast<double>(value) < *p.min) return below(p);
  if (p.max && static_cast<double>(value) > *p.max) return above(p);
  return json::value(value);
}

// An integer that does not fit 64 bits; its bound, where it has one, says more than that.
tl::unexpected<problem> too_large_integer(const parameter& p, bool negative) {
  if (negative && p.min) return below(p);
  if (!negative && p.max) return above(p);
  return wrong("int_parsing_size",
               "Unable to parse input as an integer, exceeded the size of 64 bits");
}

checked integer_from(const parameter& p, double value) {
  if (!std::isfinite(value)) return not_finite();
  if (value != std::trunc(value)) {
    return wrong("int_from_float",
                 "Input should be a valid integer, got a number with a fractional part");
  }
  constexpr double limit = 9223372036854775808.0;  // 2^63
  if (value >= limit || value < -limit) return too_large_integer(p, value < 0);
  return in_range(p, static_cast<std::int64_t>(value));
}

checked integer_from(const parameter& p, std::string_view input) {
  std::string text = plain_number(input);
  // "7.0" is an integer, "7." is none.
  const auto dot = text.find('.');
  if (dot != std::string::npos && dot + 1 < text.size() &&
      text.find_first_not_of('0', dot + 1) == std::string::npos) {
    text.resize(dot);
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) {
    return wrong("int_parsing",
                 "Input should be a valid integer, unable to parse string as an integer");
  }
  if (error == std::errc::result_out_of_range) return too_large_integer(p, text.front() == '-');
  return in_range(p, value);
}

checked check_integer(const parameter& p, const json::value& v) {
  switch (v.kind()) {
    case json::kind::bool_:
      return in_range(p, std::int64_t{v.get_bool()});
    case json::kind::int64:
      return in_range(p, v.get_int64());
    case json::kind::uint64:
      if (v.get_uint64() > std::numeric_limits<std::int64_t>::max()) {
        return too_large_integer(p, false);
      }
      return in_range(p, static_cast<std::int64_t>(v.get_uint64()));
    case json::kind::double_:
      return integer_from(p, v.get_double());
    case json::kind::string:
      return integer_from(p, std::string_view(v.get_string()));
    default:
      return wrong("int_type", "Input should be a valid integer");
  }
}

checked number_from(const parameter& p, double value) {
  if (!std::isfinite(value)) return not_finite();
  return in_range(p, value);
}

checked number_from(const parameter& p, std::string_view input) {
  const std::string text = plain_number(input);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) {
    return wrong("float_parsing",
                 "Input should be a valid number, unable to parse string as a number");
  }
  if (error == std::errc::result_out_of_range) return not_finite();
  return number_from(p, value);
}

checked check_number(const parameter& p, const json::value& v) {
  switch (v.kind()) {
    case json::kind::bool_:
      return number_from(p, v.get_bool() ? 1.0 : 0.0);
    case json::kind::int64:
      return number_from(p, static_cast<double>(v.get_int64()));
    case json::kind::uint64:
      return number_from(p, static_cast<double>(v.get_uint64()));
    case json::kind::double_:
      return number_from(p, v.get_double());
    case json::kind::string:
      return number_from(p, std::string_view(v.get_string()));
    default:
      return wrong("float_type", "Input should be a valid number");
  }
}

checked check_boolean(const json::value& v) {
  if (v.is_bool()) return v;
  if (const auto* text = v.if_string()) {
    const std::string word = lower(*text);
    for (const char* yes : {"1", "on", "t", "true", "y", "yes"}) {
      if (word == yes) return json::value(true);
    }
    for (const char* no : {"0", "off", "f", "false", "n", "no"}) {
      if (word == no) return json::value(false);
    }
  } else if (v.is_number()) {
    const double number = v.to_number<double>();
    if (number == 0 || number == 1) return json::value(number == 1);
    if (number != std::trunc(number)) {
      return wrong("bool_type", "Input should be a valid boolean");
    }
  } else {
    return wrong("bool_type", "Input should be a valid boolean");
  }
  return wrong("bool_parsing", "Input should be a valid boolean, unable to interpret input");
}

std::string listed(const std::vector<std::string>& choices) {
  std::string out;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].empty()) continue;  // the same as leaving it out
    if (!out.empty()) out += i + 1 == choices.size() ? " or " : ", ";
    out += "'" + choices[i] + "'";
  }
  return out;
}

checked check_string(const parameter& p, const json::value& v) {
  const auto* text = v.if_string();
  if (text == nullptr) return wrong("string_type", "Input should be a valid string");
  if (!is_utf8(*text)) {
    return wrong("string_unicode",
                 "Input should be a valid string, unable to parse raw data as a unicode string");
  }
  const auto length = static_cast<double>(count_characters(*text));
  if (p.min && length < *p.min) {
    return wrong("string_too_short", fmt::format("String should have at least {} {}", *p.min,
                                                 *p.min == 1 ? "character" : "characters"));
  }
  if (p.max && length > *p.max) {
    return wrong("string_too_long", fmt::format("String should have at most {} {}", *p.max,
                                                *p.max == 1 ? "character" : "characters"));
  }
  if (p.choices.empty()) return v;
  for (const std::string& choice : p.choices) {
    if (choice == std::string_view(*text)) return v;
  }
  return wrong("enum", "Input should be " + listed(p.choices));
}

checked check(const parameter& p, const json::value& v) {
  switch (p.type) {
    case parameter::kind::integer:
      return check_integer(p, v);
    case parameter::kind::number:
      return check_number(p, v);
    case parameter::kind::boolean:
      return check_boolean(v);
    case parameter::kind::string:
    case parameter::kind::file:
      break;
  }
  return check_string(p, v);
}

// The file that was given for a parameter, or null.
const given_file* find_file(std::span<const given_file> files, const std::string& name) {
  for (const given_file& f : files) {
    if (f.field == name) return &f;
  }
  return nullptr;
}

// A picture of that size, if the rules allow it.
checked check_picture(const file_rules& rules, std::string_view format, std::uint32_t width,
                      std::uint32_t height, std::uint64_t bytes) {
  const bool small = width < rules.min_side || height < rules.min_side;
  const bool wide = rules.max_side > 0 && (width > rules.max_side || height > rules.max_side);
  if (small || wide) {
    return wrong("image_size",
                 fmt::format("Picture should have sides of {} to {} pixels, not {}x{}",
                             rules.min_side, rules.max_side, width, height));
  }
  if (rules.max_pixels > 0 && std::uint64_t{width} * height > rules.max_pixels) {
    return wrong("image_size", fmt::format("Picture should have at most {} pixels, not {}x{}",
                                           rules.max_pixels, width, height));
  }
  return json::object{{"format", format}, {"width", width}, {"height", height}, {"bytes", bytes}};
}

tl::expected<void, problem> check_length(const file_rules& rules, std::uint64_t bytes) {
  if (rules.bytes == 0 || bytes <= rules.bytes) return {};
  return wrong("file_too_large",
               fmt::format("File should have at most {} bytes, not {}", rules.bytes, bytes));
}

// What a file is, by its first bytes alone: nothing is decoded before its size is known to be
// acceptable.
checked check_file(const file_rules& rules, std::string_view bytes) {
  if (auto ok = check_length(rules, bytes.size()); !ok) return tl::unexpected(ok.error());
  if (!rules.picture) return json::object{{"bytes", bytes.size()}};
  const auto header = read_image_header(bytes);
  if (!header) {
    const bool unknown = header.error().code == ec::unsupported_media;
    return wrong(unknown ? "image_format" : "image_damaged",
                 "Input should be a PNG, JPEG, WebP or GIF picture: " + header.error().message);
  }
  return check_picture(rules, mime_type(header->format), header->upright_width(),
                       header->upright_height(), bytes.size());
}

// A member of what is said of a file, as an unsigned number within 32 bits for a side and 64 for
// a length.
template <class T>
std::optional<T> fact(const json::object& facts, std::string_view name) {
  const json::value* v = facts.if_contains(name);
  if (v == nullptr || !v->is_number()) return {};
  boost::system::error_code bad;
  const T out = v->to_number<T>(bad);
  if (bad) return {};
  return out;
}

// The same of a file that is elsewhere: what was said of it, judged by the same rules.
checked check_facts(const file_rules& rules, const json::value& given) {
  const json::object* facts = given.if_object();
  const auto bytes = facts != nullptr ? fact<std::uint64_t>(*facts, "bytes") : std::nullopt;
  if (!bytes) return wrong("file_facts", "Input should say how many bytes the file has");
  if (auto ok = check_length(rules, *bytes); !ok) return tl::unexpected(ok.error());
  if (!rules.picture) return json::object{{"bytes", *bytes}};
  const auto width = fact<std::uint32_t>(*facts, "width");
  const auto height = fact<std::uint32_t>(*facts, "height");
  const json::value* format = facts->if_contains("format");
  if (!width || !height || format == nullptr || !format->is_string()) {
    return wrong("file_facts", "Input should say the picture's format, width and height");
  }
  return check_picture(rules, format->get_string(), *width, *height, *bytes);
}

using file_value = tl::expected<std::optional<json::value>, problem>;

file_value read_given(const parameter& p, std::span<const given_file> files) {
  const given_file* given = find_file(files, p.name);
  if (given == nullptr) return std::nullopt;
  auto facts = check_file(p.file, given->bytes);
  if (!facts) return tl::unexpected<problem>(std::move(facts.error()));
  return std::optional(std::move(*facts));
}

file_value read_said(const parameter& p, const json::object& body) {
  const json::value* said = body.if_contains(p.name);
  if (said == nullptr) return std::nullopt;
  auto facts = check_facts(p.file, *said);
  if (!facts) return tl::unexpected<problem>(std::move(facts.error()));
  return std::optional(std::move(*facts));
}

tl::expected<void, problem> take_file(const parameter& p, file_value facts, json::object& params) {
  if (!facts) return tl::unexpected<problem>(std::move(facts.error()));
  if (!*facts) {
    if (p.required) return wrong("missing", "Field required");
    return {};
  }
  params[p.name] = std::move(**facts);
  return {};
}

// Checks one parameter and puts its value, given or default, into `params`.
tl::expected<void, problem> take(const parameter& p, const json::object& body,
                                 json::object& params) {
  const json::value* given = body.if_contains(p.name);
  if (given != nullptr && given->is_null() && !p.required) given = nullptr;
  if (given == nullptr) {
    if (p.required) return wrong("missing", "Field required");
    if (p.fallback) params[p.name] = *p.fallback;
    return {};
  }
  auto value = check(p, *given);
  if (!value) return tl::unexpected<problem>(std::move(value.error()));
  params[p.name] = std::move(*value);
  return {};
}

}  // namespace

json::object form_values(const description& d,
                         std::span<const std::pair<std::string, std::string_view>> fields) {
  json::object out;
  for (const auto& [name, text] : fields) {
    const parameter* p = d.find(name);
    const bool absent = p != nullptr && text.empty() && p->type != parameter::kind::string;
    if (!absent) out[name] = json::string(text);
  }
  return out;
}

namespace {

using read_file = std::function<file_value(const parameter& p, const json::object& body)>;

result<json::object> check_all(const description& d, const json::value& body,
                               const read_file& file) {
  error bad{ec::invalid_parameters, {}, {}};
  const json::object* given = body.if_object();
  if (given == nullptr) {
    bad.message = "the body should be a JSON object";
    bad.fields.push_back({{"body"},
                          "Input should be a valid dictionary or object to extract fields from",
                          "model_attributes_type"});
    return fail(std::move(bad));
  }
  json::object params;
  params.reserve(d.parameters.size());
  for (const parameter& p : d.parameters) {
    const bool is_file = p.type == parameter::kind::file;
    auto taken = is_file ? take_file(p, file(p, *given), params) : take(p, *given, params);
    if (taken) continue;
    bad.fields.push_back(
        {{"body", p.name}, std::move(taken.error().msg), std::move(taken.error().type)});
  }
  if (!bad.fields.empty()) {
    bad.message =
        fmt::format("{} wrong parameter{}", bad.fields.size(), bad.fields.size() == 1 ? "" : "s");
    return fail(std::move(bad));
  }
  if (d.check) {
    if (auto ok = d.check(params); !ok) return fail(std::move(ok.error()));
  }
  return params;
}

}  // namespace

result<json::object> validate(const description& d, const json::value& body,
                              std::span<const given_file> files) {
  return check_all(
      d, body, [files](const parameter& p, const json::object&) { return read_given(p, files); });
}

result<json::object> validate_without_files(const description& d, const json::value& params) {
  return check_all(d, params, read_said);
}

}  // namespace lp::pipelines
