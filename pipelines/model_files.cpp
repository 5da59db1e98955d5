// SPDX-License-Identifier: MIT
#include "pipelines/model_files.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "pipelines/model_index.hpp"
#include "pipelines/weights/part_weights.hpp"
#include "runtime/base/byte_order_mark.hpp"

namespace lp::pipelines {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

bool ends_in(std::string_view path, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view e) { return path.ends_with(e); });
}

// A file of weights: NAME, then perhaps a variant and the number of a shard.
struct weights {
  std::string path;
  std::string variant;
  bool safe = false;
};

// The weights among the files of one folder, as Diffusers and Transformers name them.
std::vector<weights> weights_in(const std::vector<std::string>& paths, const std::string& folder) {
  static const std::regex form(
      R"((diffusion_pytorch_model|model|pytorch_model)(\.([A-Za-z0-9_]+))?(-\d{5}-of-\d{5})?(\.[A-Za-z0-9_]+)?\.(safetensors|bin))");
  std::vector<weights> out;
  for (const std::string& path : paths) {
    if (!path.starts_with(folder)) continue;
    std::smatch found;
    const std::string name = path.substr(folder.size());
    if (!std::regex_match(name, found, form)) continue;
    std::string variant = found[3].matched ? found[3].str() : found[5].str();
    if (variant.starts_with('.')) variant.erase(0, 1);
    out.push_back({path, variant, found[6] == "safetensors"});
  }
  return out;
}

// The one set of weights to take.
std::vector<std::string> choose(std::vector<weights> all, std::string_view variant) {
  const bool safe = std::any_of(all.begin(), all.end(), [](const auto& w) { return w.safe; });
  all.erase(std::remove_if(all.begin(), all.end(), [&](const auto& w) { return w.safe != safe; }),
            all.end());
  std::set<std::string> there;
  for (const weights& w : all) there.insert(w.variant);
  if (there.empty()) return {};
  std::string wanted = *there.begin();
  if (there.count("fp16") > 0) wanted = "fp16";
  if (there.count("") > 0) wanted.clear();
  if (there.count(std::string(variant)) > 0) wanted = variant;
  std::vector<std::string> out;
  for (const weights& w : all) {
    if (w.variant == wanted) out.push_back(w.path);
  }
  return out;
}

void add_settings(const std::vector<std::string>& paths, const std::string& folder,
                  std::vector<std::string>& out) {
  for (const std::string& path : paths) {
    const bool here =
        path.starts_with(folder) && path.find('/', folder.size()) == std::string::npos;
    const bool setting = ends_in(path, {".json", ".txt", ".model"});
    if (here && setting && path != model_index_name) out.push_back(path);
  }
}

bool has_file(const fs::path& folder, std::initializer_list<const char*> names) {
  std::error_code ignored;
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return fs::exists(folder / name, ignored); });
}

std::string lack_of(const fs::path& folder, const model_part& part) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return "its folder is not there";
  if (part.has_weights()) {
    if (!has_file(folder, {"config.json"})) return "no config.json";
    return find_weights(folder) ? "" : "no weights";
  }
  const bool tokenizer = part.class_name.find("Tokenizer") != std::string::npos;
  if (tokenizer && !has_file(folder, {"vocab.json", "tokenizer.json", "spiece.model"})) {
    return "no vocabulary";
  }
  const bool scheduler = part.class_name.find("Scheduler") != std::string::npos;
  if (scheduler && !has_file(folder, {"scheduler_config.json"})) return "no scheduler_config.json";
  return {};
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

bool model_part::has_weights() const {
  for (const char* other : {"Tokenizer", "Scheduler", "Processor", "FeatureExtractor"}) {
    if (class_name.find(other) != std::string::npos) return false;
  }
  return true;
}

bool may_lack(const model_part& part) {
  return part.name == "safety_checker" || part.name == "feature_extractor";
}

result<std::vector<model_part>> parts_of_index(std::string_view model_index) {
  boost::system::error_code bad;
  const json::value index = json::parse(without_mark(model_index), bad);
  const json::object* members = bad ? nullptr : index.if_object();
  if (members == nullptr) {
    return fail(ec::bad_file, fmt::format("{}: expected a JSON object", model_index_name));
  }
  std::vector<model_part> out;
  for (const auto& [name, value] : *members) {
    const json::array* pair = value.if_array();
    const bool named =
        pair != nullptr && pair->size() == 2 && (*pair)[0].is_string() && (*pair)[1].is_string();
    const std::string folder(name);
    const bool simple =
        folder.find_first_of("/\\") == std::string::npos && !folder.starts_with('.');
    if (!named || !simple) continue;  // a setting, or a part that is null
    out.push_back(
        {folder, std::string((*pair)[0].get_string()), std::string((*pair)[1].get_string())});
  }
  return out;
}

result<std::vector<std::string>> needed_files(const std::vector<std::string>& paths,
                                              std::string_view model_index,
                                              std::string_view variant) {
  std::vector<std::string> out;
  add_settings(paths, {}, out);
  std::vector<model_part> parts;
  if (model_index.empty()) {
    for (std::string& path : choose(weights_in(paths, {}), variant)) out.push_back(std::move(path));
    // Adapters and single-file checkpoints have names of their own.
    const bool none = std::none_of(out.begin(), out.end(), [](const std::string& p) {
      return ends_in(p, {".safetensors", ".bin"});
    });
    for (const std::string& path : paths) {
      const bool top = path.find('/') == std::string::npos;
      if (none && top && path.ends_with(".safetensors")) out.push_back(path);
    }
    return out;
  }
  auto named = parts_of_index(model_index);
  if (!named) return fail(std::move(named.error()));
  for (const model_part& part : *named) {
    const std::string folder = part.name + "/";
    add_settings(paths, folder, out);
    if (!part.has_weights()) continue;
    auto chosen = choose(weights_in(paths, folder), variant);
    if (chosen.empty() && !may_lack(part)) {
      return fail(ec::bad_file,
                  fmt::format("the repository has no weights for its part {}", part.name));
    }
    std::move(chosen.begin(), chosen.end(), std::back_inserter(out));
  }
  out.emplace_back(model_index_name);
  return out;
}

std::vector<std::string> missing_parts(const fs::path& folder) {
  const auto parts = parts_of_index(read_file(folder / model_index_name));
  if (!parts) return {parts.error().message};
  std::vector<std::string> out;
  for (const model_part& part : *parts) {
    if (may_lack(part)) continue;
    if (const std::string lack = lack_of(folder / part.name, part); !lack.empty()) {
      out.push_back(fmt::format("{}: {}", part.name, lack));
    }
  }
  return out;
}

}  // namespace lp::pipelines
