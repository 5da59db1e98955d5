// SPDX-License-Identifier: MIT
// The example configuration as a cluster in this process, and eyes for its pictures.
#pragma once

#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include <fmt/core.h>

#include "pipelines/media/decode.hpp"
#include "tests/cluster.hpp"
#include "tests/support/picture_judge.hpp"

namespace lp::testing {

/// examples/local.toml with any free ports and the models' folder as seen from here.
inline std::string example() {
  std::ifstream in(LP_SOURCE_DIR "/examples/local.toml");
  std::stringstream text;
  text << in.rdbuf();
  std::string out =
      std::regex_replace(text.str(), std::regex(R"(127\.0\.0\.1:\d+)"), "127.0.0.1:0");
  out = std::regex_replace(out, std::regex(R"(dir = "models")"), R"(dir = "examples/models")");
  return std::regex_replace(out, std::regex(R"(log = "info")"), R"(log = "warn")");
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The file behind an answer's picture.
inline std::string picture_file(const gateway_client& client, const answer& a,
                                std::size_t index = 0) {
  const std::string url(a.body.at("images").at(index).at("url").as_string());
  const std::string origin = fmt::format("http://127.0.0.1:{}", client.port());
  const answer file = client.get(url.substr(origin.size()));
  EXPECT_EQ(file.status, 200U);
  return file.text;
}

inline pipelines::rgb_image decoded(const std::string& file) {
  auto image = pipelines::decode_image(file);
  if (!image) throw std::runtime_error(render(image.error()));
  return std::move(*image);
}

inline seen_picture seen(const pipelines::rgb_image& image) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(image.pixels.data());
  return look({{bytes, image.pixels.size()},
               static_cast<int>(image.width),
               static_cast<int>(image.height)});
}

inline std::string colour(int index) {
  return std::string(drawing::palette()[static_cast<std::size_t>(index)].name);
}

}  // namespace lp::testing
