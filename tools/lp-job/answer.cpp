// SPDX-License-Identifier: MIT
#include "tools/lp-job/answer.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>

namespace lp::job {

namespace json = boost::json;

namespace {

// The member of an object, or null.
const json::value* member(const json::value* v, std::string_view name) {
  const json::object* o = v == nullptr ? nullptr : v->if_object();
  return o == nullptr ? nullptr : o->if_contains(name);
}

const json::array& items(const json::value* v) {
  static const json::array none;
  return v == nullptr ? none : v->as_array();
}

std::string text(const json::value* v) {
  return v == nullptr ? std::string() : std::string(v->as_string());
}

std::string joined(const json::array& loc) {
  std::string out;
  for (const json::value& part : loc) {
    if (part == "body") continue;  // every parameter lies in the body
    if (!out.empty()) out += '.';
    out += part.is_string() ? text(&part) : fmt::format("{}", part.to_number<std::int64_t>());
  }
  return out;
}

answer read_members(const json::value& body) {
  answer out;
  for (const json::value& image : items(member(&body, "images"))) {
    answer_file file{text(&image.at("url")), 0, false};
    if (const auto* seed = member(&image, "seed")) file.seed = seed->to_number<std::int64_t>();
    if (const auto* nsfw = member(&image, "nsfw")) file.nsfw = nsfw->as_bool();
    out.files.push_back(std::move(file));
  }
  const json::value* job = member(&body, "job");
  out.id = text(member(job, "id"));
  out.model = text(member(job, "model"));
  for (const json::value& node : items(member(job, "route"))) out.route.push_back(text(&node));
  for (const json::value& stage : items(member(job, "stages"))) {
    out.stages.emplace_back(text(&stage.at("name")), stage.at("ms").to_number<double>());
  }
  for (const json::value& note : items(member(job, "notes"))) out.notes.push_back(text(&note));
  return out;
}

// The known forms of errors; throws for any other.
std::string known_error(const json::value& body) {
  if (const auto* message = member(member(&body, "error"), "message")) return text(message);
  const json::value& detail = body.at("detail");
  if (detail.is_string()) return text(&detail);
  if (detail.is_object()) return text(&detail.at("msg"));
  std::string out;
  for (const json::value& field : detail.as_array()) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}: {}", joined(field.at("loc").as_array()), text(&field.at("msg")));
  }
  return out;
}

}  // namespace

result<answer> read_answer(const json::value& body) {
  try {
    return read_members(body);
  } catch (const std::exception& e) {
    return fail(ec::bad_request, fmt::format("the answer has another form: {}", e.what()));
  }
}

std::string error_text(unsigned status, std::string_view body) {
  std::string message;
  try {
    message = known_error(json::parse(body));
  } catch (const std::exception&) {
    message = std::string(body.substr(0, 1000));
  }
  return message.empty() ? fmt::format("status {}", status)
                         : fmt::format("{} (status {})", message, status);
}

result<std::string> data_url_bytes(std::string_view url) {
  constexpr std::string_view marker = ";base64,";
  const auto at = url.find(marker);
  if (!url.starts_with("data:") || at == std::string_view::npos) {
    return fail(ec::bad_request, "expected a base64 data URL");
  }
  const std::string_view digits = url.substr(at + marker.size());
  std::string out(digits.size() / 4 * 3 + 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(digits.data()),
                                     static_cast<int>(digits.size()));
  const auto padding = digits.ends_with("==") ? 2 : digits.ends_with("=") ? 1 : 0;
  if (length < padding) return fail(ec::bad_request, "a data URL is not base64");
  out.resize(static_cast<std::size_t>(length - padding));
  return out;
}

}  // namespace lp::job
