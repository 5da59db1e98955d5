// SPDX-License-Identifier: MIT
#include "tools/golden-runner/golden_case.hpp"

#include <utility>

#include <fmt/core.h>
#include <boost/json.hpp>

#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/safetensors.hpp"

namespace lp::goldens {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

json::object object_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_object() ? value->get_object() : json::object{};
}

double number_of(const json::object& object, std::string_view key, double fallback) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<double>() : fallback;
}

}  // namespace

result<golden_case> golden_case::open(const fs::path& root, const json::object& entry) {
  golden_case out;
  out.root_ = root;
  out.entry_ = entry;
  out.params_ = object_of(entry, "params");
  const json::object files = object_of(entry, "files");
  if (const std::string name = text_of(files, "inputs"); !name.empty()) {
    const auto file = engine::safetensors_file::open(root / name);
    if (!file) return fail(file.error());
    for (const auto& [key, info] : (*file)->tensors()) {
      auto loaded = (*file)->load(key);
      if (!loaded) return fail(std::move(loaded.error()));
      out.inputs_[key] = std::move(*loaded);
    }
  }
  const json::object specs = object_of(entry, "expected");
  const std::string name = text_of(files, "expected");
  if (name.empty() && !specs.empty()) {
    return fail(ec::bad_file, "the entry names no file with its expected tensors");
  }
  out.folder_ = (root / name).parent_path();
  if (auto read = out.read_expected(specs, root / name); !read) {
    return fail(std::move(read.error()));
  }
  return out;
}

result<void> golden_case::read_expected(const json::object& specs, const fs::path& path) {
  if (specs.empty()) return {};
  const auto file = engine::safetensors_file::open(path);
  if (!file) return fail(file.error());
  for (const auto& spec : specs) {
    auto loaded = (*file)->load(spec.key());
    if (!loaded) return fail(std::move(loaded.error()));
    const json::object* limits = spec.value().if_object();
    const json::object none;
    expected_[spec.key()] = {std::move(*loaded), number_of(limits ? *limits : none, "atol", 0),
                             number_of(limits ? *limits : none, "rtol", 0)};
  }
  return {};
}

at::Tensor golden_case::input(const std::string& name) const {
  const auto found = inputs_.find(name);
  return found == inputs_.end() ? at::Tensor() : found->second;
}

std::string golden_case::text(std::string_view key) const {
  return text_of(params_, key);
}

std::int64_t golden_case::integer(std::string_view key, std::int64_t fallback) const {
  const json::value* value = params_.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : fallback;
}

double golden_case::number(std::string_view key, double fallback) const {
  return number_of(params_, key, fallback);
}

std::vector<std::string> golden_case::texts(std::string_view key) const {
  const json::value* value = params_.if_contains(key);
  if (value == nullptr) return {};
  if (value->is_string()) return {std::string(value->get_string())};
  std::vector<std::string> out;
  for (std::size_t i = 0; value->is_array() && i < value->get_array().size(); ++i) {
    out.emplace_back(value->get_array()[i].as_string());
  }
  return out;
}

std::vector<std::int64_t> golden_case::integers(std::string_view key) const {
  const json::value* value = params_.if_contains(key);
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; value && value->is_array() && i < value->get_array().size(); ++i) {
    out.push_back(value->get_array()[i].to_number<std::int64_t>());
  }
  return out;
}

fs::path golden_case::path(std::string_view key) const {
  std::string name = text_of(entry_, key);
  if (name.empty()) name = text_of(params_, key);
  return name.empty() ? fs::path() : root_ / name;
}

result<std::string> golden_case::class_name(const fs::path& config) {
  const auto object = engine::read_json_file(config);
  if (!object) return fail(object.error());
  std::string name = text_of(*object, "_class_name");
  if (!name.empty()) return name;
  const json::value* list = object->if_contains("architectures");
  if (list != nullptr && list->is_array() && !list->get_array().empty() &&
      list->get_array()[0].is_string()) {
    return std::string(list->get_array()[0].get_string());
  }
  return fail(ec::bad_file, fmt::format("{}: names no class", config.string()));
}

}  // namespace lp::goldens
