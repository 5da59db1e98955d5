// SPDX-License-Identifier: MIT
// Files that come with a request, through a whole cluster.
#include <gtest/gtest.h>

#include <fmt/core.h>

#include "tests/cluster.hpp"

namespace lp::testing {
namespace {

std::string bytes(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 131 % 253);
  return out;
}

net::form_writer with_file(const std::string& content) {
  net::form_writer form;
  form.add("data", "hello");
  form.add_file("file", "x.bin", "application/octet-stream", content);
  form.add("unheard_of", "ignored");
  form.add("steps", "2");
  return form;
}

std::string download(const gateway_client& client, const answer& a) {
  const std::string url(a.body.at("images").at(0).at("url").as_string());
  const std::string origin = fmt::format("http://127.0.0.1:{}", client.port());
  return client.get(url.substr(origin.size())).text;
}

TEST(form, files_of_every_size_arrive_whole) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  constexpr std::size_t chunk = 256 * 1024;
  for (const std::size_t size : {std::size_t{1}, chunk, chunk + 1, std::size_t{5'000'003}}) {
    const std::string sent = bytes(size);
    const answer a = client.post_form("/noop", with_file(sent));
    ASSERT_EQ(a.status, 200U) << a.text;
    EXPECT_EQ(a.body.at("data").as_string(), "hello");
    EXPECT_EQ(download(client, a), sent) << size;
  }
}

TEST(form, a_job_with_a_large_file_is_tried_elsewhere_with_its_file) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  net::form_writer form = with_file(bytes(1'000'000));
  form.add("fail", "load_failed");
  const answer a = client.post_form("/noop", std::move(form));
  EXPECT_EQ(a.status, 503U);
  EXPECT_NE(a.text.find("after 2 tries"), std::string::npos) << a.text;
}

TEST(form, noop_takes_json_as_well) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  EXPECT_EQ(client.post("/noop", R"({"data":"x"})").body.at("data").as_string(), "x");
  const auto got = client.connect().send("POST", "/noop", "a=b",
                                         {{"Content-Type", "application/x-www-form-urlencoded"}},
                                         clock::now() + patience);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, 415U);
}

TEST(form, empty_fields_of_files_are_absent) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  net::form_writer plain;
  plain.add("file", "");
  plain.add("data", "\xEF\xBB\xBFx");
  const answer a = client.post_form("/noop", std::move(plain));
  ASSERT_EQ(a.status, 200U) << a.text;
  EXPECT_EQ(a.body.at("data").as_string(), "x") << "without its byte-order mark";
  net::form_writer page;
  page.add_file("file", "", "application/octet-stream", "");
  EXPECT_EQ(client.post_form("/noop", std::move(page)).status, 200U);
  // Absent, not wrong: what is missing is told as missing.
  for (const char* field : {"image", "mask_image"}) {
    net::form_writer form;
    form.add("prompt", "x");
    form.add(field, "");
    const answer missing = client.post_form("/image-to-image", std::move(form));
    EXPECT_EQ(missing.status, 422U);
    EXPECT_NE(missing.text.find("Field required"), std::string::npos) << missing.text;
    EXPECT_EQ(missing.text.find("mask_image"), std::string::npos) << missing.text;
  }
}

TEST(form, wrong_ones_are_told_why) {
  test_cluster cluster(noop_cluster());
  const auto client = cluster.client();
  const auto send = [&](const std::string& route, const std::string& type,
                        const std::string& body) {
    auto got = client.connect().send("POST", route, body, {{"Content-Type", type}},
                                     clock::now() + patience);
    return got ? std::move(*got) : net::http_reply{};
  };
  EXPECT_EQ(send("/image-to-image", "application/json", "{}").status, 415U);
  EXPECT_EQ(send("/image-to-image", "multipart/form-data", "x").status, 400U);
  const std::string type = "multipart/form-data; boundary=b";
  const std::string part =
      "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x\"\r\n\r\nGIF89a\r\n";
  EXPECT_EQ(send("/image-to-image", type, part).status, 400U) << "no end";
  EXPECT_EQ(send("/image-to-image", type, part + part + "--b--").status, 400U) << "twice";
  const auto wrong = send("/image-to-image", type, part + "--b--");
  EXPECT_EQ(wrong.status, 422U);
  EXPECT_NE(wrong.body.find("image"), std::string::npos) << wrong.body;
  EXPECT_NE(wrong.body.find("prompt"), std::string::npos) << wrong.body;
}

}  // namespace
}  // namespace lp::testing
