// SPDX-License-Identifier: MIT
#include "net/multipart.hpp"

#include <cstring>

#include <fmt/format.h>
#include <boost/beast/core/string.hpp>

#include "net/content_type.hpp"

namespace lp::net {

namespace {

using boost::beast::iequals;

constexpr std::size_t longest_boundary = 70;  // RFC 2046, 5.1.1

template <class... Args>
tl::unexpected<error> wrong(fmt::format_string<Args...> text, Args&&... args) {
  return fail(ec::bad_request, "the form: " + fmt::format(text, std::forward<Args>(args)...));
}

result<std::string> boundary_of(std::string_view content_type) {
  const auto type = parse_parametered(content_type);
  if (!type) return wrong("Content-Type: {}", type.error().message);
  if (type->value != "multipart/form-data") {
    return fail(ec::unsupported_media,
                fmt::format("Content-Type must be multipart/form-data, not {}",
                            type->value.empty() ? "nothing" : type->value));
  }
  const std::string* boundary = type->find("boundary");
  if (boundary == nullptr || boundary->empty()) return wrong("Content-Type has no boundary");
  if (boundary->size() > longest_boundary) {
    return wrong("the boundary has {} characters, {} are the most", boundary->size(),
                 longest_boundary);
  }
  return *boundary;
}

// The first place of `what` at or behind `from`, or npos. memmem() is many times faster here than
// std::string_view::find(), which stops at every carriage return of a picture.
std::size_t find_bytes(std::string_view in, std::string_view what, std::size_t from) {
  const void* found = ::memmem(in.data() + from, in.size() - from, what.data(), what.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - in.data());
}

class form_reader {
 public:
  form_reader(std::string_view body, std::string_view boundary, const form_limits& limits)
      : body_(body), delimiter_(fmt::format("\r\n--{}", boundary)), limits_(limits) {}

  result<std::vector<form_part>> read() {
    if (auto begun = find_first(); !begun) return fail(std::move(begun.error()));
    std::vector<form_part> out;
    for (;;) {
      const auto more = after_delimiter(out.size());
      if (!more) return fail(more.error());
      if (!*more) return out;
      if (out.size() == limits_.parts) {
        return fail(ec::too_large, fmt::format("the form has more than {} parts", limits_.parts));
      }
      auto part = read_part(out.size() + 1);
      if (!part) return fail(std::move(part.error()));
      out.push_back(std::move(*part));
    }
  }

 private:
  // Puts the position behind the first delimiter; what stands before it means nothing.
  result<void> find_first() {
    const std::string_view first = std::string_view(delimiter_).substr(2);
    if (body_.starts_with(first)) {
      position_ = first.size();
      return {};
    }
    const std::size_t at = find_bytes(body_, delimiter_, 0);
    if (at == std::string_view::npos) return wrong("its boundary does not occur in the body");
    position_ = at + delimiter_.size();
    return {};
  }

  // What follows a delimiter: true for a part, false for the end.
  result<bool> after_delimiter(std::size_t parts) {
    std::string_view rest = body_.substr(position_);
    if (rest.starts_with("--")) return false;
    const std::size_t blanks = rest.size() - trim_start(rest).size();
    rest.remove_prefix(blanks);
    if (!rest.starts_with("\r\n")) {
      return wrong("a line break is missing behind the boundary after part {}", parts);
    }
    position_ += blanks + 2;
    return true;
  }

  static std::string_view trim_start(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    return text;
  }

  result<form_part> read_part(std::size_t number) {
    form_part part;
    bool named = false;
    for (std::size_t header_bytes = 0;;) {
      const std::string_view rest = body_.substr(position_, limits_.header_bytes + 2);
      const std::size_t end = rest.find("\r\n");
      header_bytes += std::min(end, rest.size()) + 2;
      if (header_bytes > limits_.header_bytes + 2) {
        return fail(ec::too_large,
                    fmt::format("the form: part {} has more than {} bytes of headers", number,
                                limits_.header_bytes));
      }
      if (end == std::string_view::npos) {
        return wrong("the body ends in the headers of part {}", number);
      }
      position_ += end + 2;
      if (end == 0) break;
      if (auto ok = take_header(rest.substr(0, end), number, part, named); !ok) {
        return fail(std::move(ok.error()));
      }
    }
    if (!named) return wrong("part {} has no Content-Disposition with a name", number);
    return take_content(std::move(part));
  }

  static result<void> take_header(std::string_view line, std::size_t number, form_part& part,
                                  bool& named) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || line[0] == ' ' || line[0] == '\t') {
      return wrong("part {} has a header line without a name", number);
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim_blanks(line.substr(colon + 1));
    if (iequals(name, "Content-Disposition")) {
      if (named) return wrong("part {} has two Content-Disposition headers", number);
      named = true;
      return take_disposition(value, number, part);
    }
    if (iequals(name, "Content-Type")) {
      // Its parameters, such as a charset, mean nothing here, however they are written.
      part.mime = lower_case(trim_blanks(value.substr(0, value.find(';'))));
    }
    const bool encoded = iequals(name, "Content-Transfer-Encoding") && !iequals(value, "binary") &&
                         !iequals(value, "8bit") && !iequals(value, "7bit");
    if (encoded) {
      return wrong("part {} is in {}; expected its plain bytes (RFC 7578, 4.7)", number, value);
    }
    return {};
  }

  static result<void> take_disposition(std::string_view value, std::size_t number,
                                       form_part& part) {
    const auto disposition = parse_parametered(value);
    if (!disposition) {
      return wrong("part {}: Content-Disposition: {}", number, disposition.error().message);
    }
    const std::string* name = disposition->find("name");
    if (disposition->value != "form-data" || name == nullptr || name->empty()) {
      return wrong("part {} has no Content-Disposition \"form-data\" with a name", number);
    }
    if (!is_utf8(*name)) return wrong("the name of part {} is not UTF-8", number);
    part.name = *name;
    const std::string* file = disposition->find("filename");
    if (file == nullptr) file = disposition->find("filename*");
    part.is_file = file != nullptr;
    if (part.is_file) part.filename = *file;
    return {};
  }

  result<form_part> take_content(form_part part) {
    // An empty part's delimiter begins with the line break that ends the headers.
    const std::size_t end = find_bytes(body_, delimiter_, position_ - 2);
    if (end == std::string_view::npos) {
      return wrong("the body ends in the part \"{}\", before its boundary", part.name);
    }
    part.offset = position_;
    part.size = end < position_ ? 0 : end - position_;
    position_ = end + delimiter_.size();
    return part;
  }

  std::string_view body_;
  std::string delimiter_;
  form_limits limits_;
  std::size_t position_ = 0;
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "%22";
        break;
      case '\r':
        out += "%0D";
        break;
      case '\n':
        out += "%0A";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

result<std::vector<form_part>> parse_form(std::string_view content_type, std::string_view body,
                                          const form_limits& limits) {
  const auto boundary = boundary_of(content_type);
  if (!boundary) return fail(boundary.error());
  return form_reader(body, *boundary, limits).read();
}

result<std::vector<form_part>> parse_form_body(const request& r) {
  return parse_form(r.header_value("Content-Type"), r.body);
}

// 128 random bits do not occur in what is sent.
form_writer::form_writer() : boundary_("lp-form-" + random_hex(16)) {}

void form_writer::add(std::string_view name, std::string_view value) {
  body_ += fmt::format("--{}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", boundary_,
                       escaped(name));
  body_.append(value).append("\r\n");
}

void form_writer::add_file(std::string_view name, std::string_view filename, std::string_view mime,
                           std::string_view bytes) {
  body_ += fmt::format(
      "--{}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n"
      "Content-Type: {}\r\n\r\n",
      boundary_, escaped(name), escaped(filename), mime);
  body_.append(bytes).append("\r\n");
}

std::string form_writer::finish() && {
  body_ += fmt::format("--{}--\r\n", boundary_);
  return std::move(body_);
}

}  // namespace lp::net
