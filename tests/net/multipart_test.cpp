// SPDX-License-Identifier: MIT
#include "net/multipart.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace lp::net::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* type = "multipart/form-data; boundary=XX";

std::string part(std::string_view headers, std::string_view content) {
  return fmt::format("--XX\r\n{}\r\n\r\n{}\r\n", headers, content);
}

std::string field(std::string_view name, std::string_view content) {
  return part(fmt::format("Content-Disposition: form-data; name=\"{}\"", name), content);
}

TEST(multipart, reads_what_was_written) {
  form_writer form;
  std::string picture = "\x89PNG\r\n\r\n--";
  for (int i = 0; i < 5000; ++i) picture += static_cast<char>(i * 7);
  form.add("prompt", "Gr\xc3\xbc\xc3\x9f dich");
  form.add_file("image", "a \"b\".png", "image/png", picture);
  form.add("empty", "");
  const std::string content_type = form.content_type();
  const std::string body = std::move(form).finish();
  const auto parts = parse_form(content_type, body);
  ASSERT_TRUE(parts) << render(parts.error());
  ASSERT_EQ(parts->size(), 3U);
  EXPECT_EQ((*parts)[0].name, "prompt");
  EXPECT_EQ((*parts)[0].content(body), "Gr\xc3\xbc\xc3\x9f dich");
  EXPECT_FALSE((*parts)[0].is_file);
  EXPECT_EQ((*parts)[1].filename, "a %22b%22.png");
  EXPECT_EQ((*parts)[1].mime, "image/png");
  EXPECT_TRUE((*parts)[1].is_file);
  EXPECT_EQ((*parts)[1].content(body), picture);
  EXPECT_EQ((*parts)[1].content(body).data(), body.data() + (*parts)[1].offset) << "not a copy";
  EXPECT_EQ((*parts)[2].content(body), "");
}

TEST(multipart, takes_what_clients_write_differently) {
  const std::pair<std::string, std::string> bodies[] = {
      {type, "a preamble\r\n" + field("a", "1") + "--XX--\r\nan epilogue"},
      {type, field("a", "1") + "--XX--"},
      {type, "--XX \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XX--"},
      {"Multipart/Form-Data; charset=utf-8; boundary=\"XX\"", field("a", "1") + "--XX--"},
      {type, part("content-type: text/plain; charset=UTF-8\r\nX-Other: y\r\n"
                  "CONTENT-DISPOSITION: form-data;name=\"a\"",
                  "1") +
                 "--XX--"},
      {type, part("Content-Transfer-Encoding: binary\r\n"
                  "Content-Disposition: form-data; name=\"a\"",
                  "1") +
                 "--XX--"}};
  for (const auto& [content_type, body] : bodies) {
    const auto parts = parse_form(content_type, body);
    ASSERT_TRUE(parts) << render(parts.error()) << "\n" << body;
    ASSERT_EQ(parts->size(), 1U) << body;
    EXPECT_EQ((*parts)[0].name, "a") << body;
    EXPECT_EQ((*parts)[0].content(body), "1") << body;
  }
  const std::string nothing = "--XX--\r\n";
  EXPECT_EQ(parse_form(type, nothing).value().size(), 0U);
  const std::string path =
      part("Content-Disposition: form-data; name=\"f\"; filename=\"C:\\dir\\a \\\"x\\\".png\"",
           "") +
      "--XX--";
  EXPECT_EQ(parse_form(type, path).value()[0].filename, "C:\\dir\\a \"x\".png");
}

TEST(multipart, malformed_forms_are_refused) {
  const std::string ok = field("a", "1");
  const std::string wrong[] = {
      "",
      "XX",
      "--XX",
      "--XX\r\n",
      ok,
      ok + "--X--",
      ok + "--XXY--",
      ok + "--XX",
      "--XX\nContent-Disposition: form-data; name=a\n\n1\n--XX--",
      part("Content-Disposition: form-data", "1") + "--XX--",
      part("Content-Disposition: form-data; name=\"\"", "1") + "--XX--",
      part("Content-Disposition: form-data; name=\"a", "1") + "--XX--",
      part("Content-Disposition: form-data; name=\"a\"b", "1") + "--XX--",
      part("Content-Disposition: form-data; name", "1") + "--XX--",
      part("Content-Disposition: attachment; name=\"a\"", "1") + "--XX--",
      part("Content-Disposition: form-data; name=\"\xff\xfe\"", "1") + "--XX--",
      part("Content-Type: text/plain", "1") + "--XX--",
      part("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b",
           "1") +
          "--XX--",
      part("no colon here", "1") + "--XX--",
      part(": no name", "1") + "--XX--",
      part("Content-Disposition: form-data;\r\n name=\"a\"", "1") + "--XX--",
      part("Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64", "MQ==") +
          "--XX--",
      part("Content-Disposition: form-data; name=a\r\nX: " + std::string(5000, 'x'), "1") +
          "--XX--",
      "--XX\r\n\r\n1\r\n--XX--"};
  for (const std::string& body : wrong) {
    const auto parts = parse_form(type, body);
    ASSERT_FALSE(parts) << body;
    const bool told = parts.error().code == ec::bad_request || parts.error().code == ec::too_large;
    EXPECT_TRUE(told) << render(parts.error());
    EXPECT_NE(parts.error().message.find("form"), std::string::npos) << parts.error().message;
  }
}

TEST(multipart, every_cut_of_a_form_is_refused) {
  const std::string body = field("a", "1") + field("b", "22") + "--XX--\r\n";
  for (std::size_t length = 0; length + 4 < body.size(); ++length) {
    EXPECT_FALSE(parse_form(type, body.substr(0, length))) << length;
  }
}

TEST(multipart, wrong_content_types_are_refused) {
  const std::string body = field("a", "1") + "--XX--";
  EXPECT_EQ(parse_form("", body).error().code, ec::unsupported_media);
  EXPECT_EQ(parse_form("application/json", body).error().code, ec::unsupported_media);
  EXPECT_EQ(parse_form("multipart/mixed; boundary=XX", body).error().code, ec::unsupported_media);
  EXPECT_EQ(parse_form("multipart/form-data", body).error().code, ec::bad_request);
  EXPECT_EQ(parse_form("multipart/form-data; boundary=", body).error().code, ec::bad_request);
  EXPECT_EQ(parse_form("multipart/form-data; boundary=\"XX", body).error().code, ec::bad_request);
  const std::string longest(71, 'x');
  EXPECT_EQ(
      parse_form("multipart/form-data; boundary=" + longest, "--" + longest + "--").error().code,
      ec::bad_request);
}

TEST(multipart, the_number_of_parts_is_bounded) {
  std::string body;
  for (int i = 0; i < 65; ++i) body += field("a", "1");
  EXPECT_EQ(parse_form(type, body + "--XX--").error().code, ec::too_large);
}

// Requests as Livepeer's and other clients write them.
TEST(multipart, forms_of_real_clients_are_read) {
  const fs::path folder = fs::path(LP_SOURCE_DIR) / "../shared/reference/clients";
  if (!fs::exists(folder)) GTEST_SKIP() << "../shared is absent";
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".http") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string raw{std::istreambuf_iterator<char>(in), {}};
    const std::size_t at = raw.find("multipart/form-data; boundary=");
    const std::size_t body_at = raw.find("\r\n\r\n");
    const bool chunked = raw.substr(0, body_at).find("chunked") != std::string::npos;
    if (at == std::string::npos || at > body_at || chunked) continue;
    const std::string content_type = raw.substr(at, raw.find("\r\n", at) - at);
    const std::string body = raw.substr(body_at + 4);
    const auto parts = parse_form(content_type, body);
    ASSERT_TRUE(parts) << entry.path() << render(parts.error());
    std::map<std::string, std::string> fields;
    for (const form_part& p : *parts) fields[p.name] = p.content(body);
    if (entry.path().filename() == "03-livepeer-ai_image_to_image.http") {
      EXPECT_EQ(fields.at("prompt"), "a dog");
      EXPECT_EQ(fields.at("strength"), "0.8");
      EXPECT_EQ(fields.at("safety_check"), "true");
      EXPECT_EQ(fields.at("image").substr(1, 3), "PNG");
      EXPECT_EQ(fields.at("image").substr(fields.at("image").size() - 8, 4), "IEND");
    }
    ++seen;
  }
  EXPECT_GE(seen, 10);
}

}  // namespace
}  // namespace lp::net::test
