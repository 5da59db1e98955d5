// SPDX-License-Identifier: MIT
// The tiny Stable Diffusion folder of the kept goldens (random weights, 64x64 pixels), and changed
// copies of it.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace lp::engine {

inline std::filesystem::path small_model() {
  return std::filesystem::path(LP_SOURCE_DIR) / "tests/data/goldens/pipe_sd15_pndm/model";
}

/// A copy named `name` in the test's temporary folder; a new one replaces an old one.
inline std::filesystem::path copy_of_small_model(const std::string& name) {
  const auto copy = std::filesystem::path(::testing::TempDir()) / "lp_models" / name;
  std::filesystem::remove_all(copy);
  std::filesystem::create_directories(copy.parent_path());
  std::filesystem::copy(small_model(), copy, std::filesystem::copy_options::recursive);
  return copy;
}

/// Replaces the first `from` in a text file, which must be there.
inline void replace_in(const std::filesystem::path& file, std::string_view from,
                       std::string_view to) {
  std::stringstream all;
  all << std::ifstream(file).rdbuf();
  auto text = all.str();
  const auto place = text.find(from);
  ASSERT_NE(place, text.npos) << from << " in " << file;
  text.replace(place, from.size(), to);
  std::ofstream(file) << text;
}

}  // namespace lp::engine
