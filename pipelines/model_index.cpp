// SPDX-License-Identifier: MIT
#include "pipelines/model_index.hpp"

#include <fstream>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include "pipelines/checkpoint_class.hpp"
#include "pipelines/weights/foreign_file.hpp"
#include "runtime/base/byte_order_mark.hpp"

namespace lp::pipelines {

namespace json = boost::json;

namespace {

// Real ones have less than a kilobyte.
constexpr std::size_t most_bytes = 1 << 20;

result<std::string> read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(most_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.eof() && !in.good()) {
    return fail(ec::bad_file, fmt::format("{}: cannot be read", file.string()));
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most_bytes) {
    return fail(ec::bad_file, fmt::format("{}: longer than {} bytes", file.string(), most_bytes));
  }
  return text;
}

}  // namespace

result<std::string> model_class(const std::filesystem::path& model) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(model, ignored)) return checkpoint_class(model);
  const auto file = model / model_index_name;
  const auto text = read(file);
  if (!text) return fail(text.error());
  boost::system::error_code error;
  const json::value index = json::parse(without_mark(*text), error);
  if (error) {
    return fail(ec::bad_file, told_of_file(file, "not JSON: " + error.message()));
  }
  const json::object* members = index.if_object();
  const json::value* name = members == nullptr ? nullptr : members->if_contains("_class_name");
  if (name == nullptr || !name->is_string()) {
    return fail(ec::bad_file,
                fmt::format("{}: expected an object with a string _class_name", file.string()));
  }
  return std::string(std::string_view(name->get_string()));
}

image_tasks tasks_of_class(std::string_view class_name) {
  struct family {
    std::string_view name;
    image_tasks tasks;
  };
  static constexpr family known[] = {
      {"StableDiffusionPipeline", {true, true, false}},
      {"StableDiffusionXLPipeline", {true, true, false}},
      {"LatentConsistencyModelPipeline", {true, true, false}},
      {"StableDiffusionImg2ImgPipeline", {true, true, false}},
      {"StableDiffusionXLImg2ImgPipeline", {true, true, false}},
      {"LatentConsistencyModelImg2ImgPipeline", {true, true, false}},
      {"StableDiffusionInpaintPipeline", {false, true, false}},
      {"StableDiffusionXLInpaintPipeline", {false, true, false}},
      {"StableDiffusionInstructPix2PixPipeline", {false, true, false}},
      {"StableDiffusionUpscalePipeline", {false, false, true}},
      {"DiTPipeline", {true, false, false}},
  };
  for (const auto& [name, tasks] : known) {
    if (name == class_name) return tasks;
  }
  return {};
}

image_tasks tasks_of(const std::filesystem::path& model) {
  const auto name = model_class(model);
  return name ? tasks_of_class(*name) : image_tasks{};
}

}  // namespace lp::pipelines
