// SPDX-License-Identifier: MIT
#include "pipelines/weights/part_weights.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <regex>
#include <string_view>

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "pipelines/weights/foreign_file.hpp"
#include "runtime/base/byte_order_mark.hpp"

namespace lp::pipelines {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 3> stems = {"diffusion_pytorch_model", "model",
                                                   "pytorch_model"};

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> out;
  std::error_code bad;
  for (fs::directory_iterator it(folder, bad), end; !bad && it != end; it.increment(bad)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) out.insert(it->path().filename().string());
  }
  return out;
}

// None, fp16, then the others that any name there has.
std::vector<std::string> variants_of(const std::set<std::string>& names) {
  static const std::regex form(
      R"((?:diffusion_pytorch_model|model|pytorch_model)\.)"
      R"((?:([A-Za-z0-9_]+)\.)?(?:safetensors|bin)(?:\.index(?:\.([A-Za-z0-9_]+))?\.json)?)");
  std::vector<std::string> out = {"", "fp16"};
  for (const std::string& name : names) {
    std::smatch found;
    if (!std::regex_match(name, found, form)) continue;
    std::string variant = found[1].matched ? found[1].str() : found[2].str();
    if (std::find(out.begin(), out.end(), variant) == out.end()) out.push_back(std::move(variant));
  }
  return out;
}

std::optional<part_weights> named(const fs::path& folder, const std::set<std::string>& names,
                                  std::string_view stem, const std::string& variant,
                                  std::string_view ending) {
  const std::string dotted = variant.empty() ? "" : "." + variant;
  const auto single = fmt::format("{}{}.{}", stem, dotted, ending);
  if (names.count(single) > 0) return part_weights{folder / single, {}};
  // Diffusers has written both forms.
  for (const auto& index : {fmt::format("{}.{}.index{}.json", stem, ending, dotted),
                            fmt::format("{}{}.{}.index.json", stem, dotted, ending)}) {
    if (names.count(index) > 0) return part_weights{{}, folder / index};
  }
  return std::nullopt;
}

std::optional<part_weights> only_one(const fs::path& folder, const std::set<std::string>& names,
                                     const std::set<std::string>& endings) {
  std::optional<part_weights> out;
  for (const std::string& name : names) {
    if (endings.count(fs::path(name).extension().string()) == 0) continue;
    if (out) return std::nullopt;
    out = part_weights{folder / name, {}};
  }
  return out;
}

}  // namespace

std::optional<part_weights> find_weights(const fs::path& folder) {
  const auto names = names_in(folder);
  const auto variants = variants_of(names);
  const auto standard = [&](std::string_view ending) -> std::optional<part_weights> {
    for (const std::string& variant : variants) {
      for (const std::string_view stem : stems) {
        if (auto found = named(folder, names, stem, variant, ending)) return found;
      }
    }
    return std::nullopt;
  };
  if (auto found = standard("safetensors")) return found;
  if (auto found = only_one(folder, names, {".safetensors"})) return found;
  if (auto found = standard("bin")) return found;
  return only_one(folder, names, {".bin", ".pth", ".pt", ".ckpt"});
}

result<std::map<std::string, std::set<std::string>>> read_shards(const fs::path& index) {
  std::ifstream in(index, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  boost::system::error_code bad;
  const json::value parsed = json::parse(without_mark(text), bad);
  const json::value* map =
      bad || !parsed.is_object() ? nullptr : parsed.get_object().if_contains("weight_map");
  if (map == nullptr || !map->is_object()) {
    return fail(ec::bad_file, told_of_file(index, "\"weight_map\" must be an object"));
  }
  std::map<std::string, std::set<std::string>> out;
  for (const auto& [name, file] : map->get_object()) {
    // A shard lies beside its index: a path would reach out of the model's folder.
    const bool plain =
        file.is_string() && !fs::path(std::string(file.get_string())).has_parent_path();
    if (!plain) {
      return fail(ec::bad_file, fmt::format("{}: the file of {} must be a plain file name",
                                            index.string(), std::string_view(name)));
    }
    out[std::string(file.get_string())].insert(std::string(name));
  }
  return out;
}

std::vector<fs::path> weight_files(const fs::path& folder) {
  const auto found = find_weights(folder);
  if (!found) return {};
  if (found->index.empty()) return {found->file};
  const auto shards = read_shards(found->index);
  if (!shards) return {};
  std::vector<fs::path> out = {found->index};
  for (const auto& [file, tensors] : *shards) out.push_back(folder / file);
  return out;
}

}  // namespace lp::pipelines
