// SPDX-License-Identifier: MIT
#include <algorithm>
#include <memory>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <boost/json.hpp>

#include "pipelines/engine/safetensors.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

namespace json = boost::json;
using files = std::vector<std::shared_ptr<engine::safetensors_file>>;

/// Opens every file of the table; the error names those that were taken or refused wrongly.
result<files> open_all(const json::object& verdicts, const std::filesystem::path& folder) {
  files good;
  std::string wrong;
  for (const auto& entry : verdicts) {
    const std::string name(entry.key());
    const auto file = engine::safetensors_file::open(folder / name);
    if (file) good.push_back(*file);
    if (file.has_value() == entry.value().as_bool()) continue;
    wrong += fmt::format("{}{} {}", wrong.empty() ? "" : ", ", name,
                         file ? "was taken" : "was refused: " + file.error().message);
  }
  if (!wrong.empty()) return fail(ec::bad_file, wrong);
  return good;
}

/// The tensor, converted as the end of its expected name says.
result<void> load_as(const files& good, const std::string& name, tensors& out) {
  for (const auto& [suffix, type] : {std::pair{"_as_f32", at::kFloat}, {"_int", at::kLong}}) {
    if (!name.ends_with(suffix)) continue;
    const std::string key = name.substr(0, name.size() - std::string_view(suffix).size());
    for (const auto& file : good) {
      if (file->tensors().count(key) == 0) continue;
      const auto loaded = file->load(key);
      if (!loaded) return fail(loaded.error());
      out[name] = loaded->to(type);
      return {};
    }
  }
  return {};
}

}  // namespace

result<answer> run_safetensors(const golden_case& c) {
  const json::value* verdicts = c.params().if_contains("ok");
  if (verdicts == nullptr || !verdicts->is_object()) {
    return answer::not_yet("no table of good and malformed files");
  }
  const auto good = open_all(verdicts->get_object(), c.folder() / "files");
  if (!good) return fail(good.error());
  for (const auto& file : *good) {
    for (const auto& [name, info] : file->tensors()) {
      if (const auto loaded = file->load(name); !loaded) return fail(loaded.error());
    }
  }
  if (const json::value* wanted = c.params().if_contains("metadata")) {
    const auto metadata = json::value_to<std::map<std::string, std::string>>(*wanted);
    if (std::none_of(good->begin(), good->end(),
                     [&](const auto& file) { return file->metadata() == metadata; })) {
      return fail(ec::bad_file, "no file has the expected metadata");
    }
  }
  answer out;
  for (const auto& [name, expected] : c.expected()) {
    if (auto loaded = load_as(*good, name, out.values); !loaded) return fail(loaded.error());
  }
  return out;
}

}  // namespace lp::goldens
