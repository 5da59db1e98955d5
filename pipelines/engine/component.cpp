// SPDX-License-Identifier: MIT
#include "pipelines/engine/component.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "pipelines/weights/model_stamp.hpp"
#include "pipelines/weights/part_weights.hpp"

namespace lp::engine {

namespace fs = std::filesystem;

component folder_component(const fs::path& folder) {
  return {folder, [folder] { return place_of_folder(folder); },
          [folder](bool ahead) { return open_component(folder, ahead); }};
}

std::string place_of_file(const fs::path& file) {
  return pipelines::place_of_file(file);
}

std::string place_of_folder(const fs::path& folder) {
  std::string out;
  for (const auto& file : pipelines::weight_files(folder)) {
    const auto place = place_of_file(file);
    if (place.empty()) return {};
    out += fmt::format("{} {}\n", file.filename().string(), place);
  }
  return out;
}

namespace {

bool same_bytes(const stored_tensor& a, const stored_tensor& b) {
  const auto left = a.load(), right = b.load();
  if (!left || !right || left->scalar_type() != right->scalar_type()) return false;
  const auto x = left->contiguous(), y = right->contiguous();
  return x.nbytes() == y.nbytes() &&
         (x.nbytes() == 0 || std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0);
}

}  // namespace

bool same_tensors(const stored_tensors& a, const stored_tensors& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.dtype == y.second.dtype &&
           x.second.shape == y.second.shape;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same) &&
         std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return same_bytes(x.second, y.second); });
}

}  // namespace lp::engine
