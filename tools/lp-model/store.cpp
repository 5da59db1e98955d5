// SPDX-License-Identifier: MIT
#include "tools/lp-model/store.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/catalogue.hpp"
#include "pipelines/checkpoint_class.hpp"
#include "pipelines/model_health.hpp"
#include "pipelines/model_index.hpp"

namespace lp::model_tool {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::hours patience{24};

bool holds_safetensors(const fs::path& folder) {
  std::error_code bad;
  for (fs::directory_iterator it(folder, bad), end; !bad && it != end; it.increment(bad)) {
    if (it->path().extension() == ".safetensors") return true;
  }
  return false;
}

// Why a file is left over; empty for one that is not.
std::string reason(const fs::path& path, bool all, fs::file_time_type now) {
  const fs::path ending = path.extension();
  if (ending == ".part" || ending == ".ranges") {
    std::error_code bad;
    const auto changed = fs::last_write_time(path, bad);
    return all || (!bad && now - changed > patience) ? "an unfinished download" : "";
  }
  const std::string name = path.filename().string();
  const bool framework = name == "pytorch_model.bin" || name == "diffusion_pytorch_model.bin" ||
                         name == "flax_model.msgpack" || name == "tf_model.h5" ||
                         name == "diffusion_flax_model.msgpack";
  return framework && holds_safetensors(path.parent_path())
             ? "the same weights lie beside it as safetensors"
             : "";
}

result<void> check_folder(const fs::path& models) {
  std::error_code error;
  if (fs::is_directory(models, error)) return {};
  return fail(ec::bad_config, fmt::format("{}: not a folder", models.string()));
}

}  // namespace

result<std::vector<stored_model>> list_models(const fs::path& models) {
  if (auto ok = check_folder(models); !ok) return fail(ok.error());
  std::vector<stored_model> out;
  const auto found = pipelines::find_models(models, pipelines::whole_checkpoint);
  for (const fs::path& model : found.value_or(std::vector<fs::path>{})) {
    const auto family = pipelines::model_class(model);
    const auto lacks = pipelines::lacks_of(model);
    std::error_code none;
    out.push_back({model.lexically_relative(models).generic_string(),
                   family ? *family : std::string("unknown"), pipelines::weight_bytes(model),
                   fs::exists(model / ".hub.json", none),
                   fmt::format("{}", fmt::join(lacks, "; "))});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return out;
}

result<std::vector<leftover>> find_leftovers(const fs::path& models, bool all,
                                             fs::file_time_type now) {
  if (auto ok = check_folder(models); !ok) return fail(ok.error());
  std::vector<leftover> out;
  std::error_code bad;
  for (fs::recursive_directory_iterator it(models, bad), end; !bad && it != end;
       it.increment(bad)) {
    std::error_code none;
    if (!it->is_regular_file(none)) continue;
    if (std::string why = reason(it->path(), all, now); !why.empty()) {
      out.push_back({it->path(), it->file_size(none), std::move(why)});
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

}  // namespace lp::model_tool
