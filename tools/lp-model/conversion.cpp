// SPDX-License-Identifier: MIT
#include "tools/lp-model/conversion.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/catalogue.hpp"
#include "pipelines/engine.hpp"
#include "pipelines/model_index.hpp"
#include "pipelines/weights/part_weights.hpp"
#include "tools/lp-model/inspection.hpp"

namespace lp::model_tool {

namespace fs = std::filesystem;

namespace {

bool is_pickle(const fs::path& file) {
  const fs::path ending = file.extension();
  return ending == ".bin" || ending == ".pth" || ending == ".pt";
}

// A part's pickled weights become what Diffusers and Transformers would have saved.
fs::path converted_name(const fs::path& target) {
  const bool transformers = target.stem() == "pytorch_model";
  return transformers ? target.parent_path() / "model.safetensors"
                      : fs::path(target).replace_extension(".safetensors");
}

// Pickles that are not what is loaded of their folder are not taken along.
bool left_behind(const fs::path& file) {
  if (file.filename() == ".hub.json") return true;  // its digests are of other files
  if (!is_pickle(file)) return false;
  const auto used = pipelines::weight_files(file.parent_path());
  return std::find(used.begin(), used.end(), file) == used.end();
}

result<void> convert_file(const fs::path& from, const fs::path& to, const std::string& dtype,
                          conversion& sums) {
  const auto engine = pipelines::get_engine();
  if (!engine) return fail(engine.error());
  if (auto ok = (*engine)->convert_weights(from, to, dtype); !ok) return ok;
  std::error_code ignored;
  sums.before += fs::file_size(from, ignored);
  sums.after += fs::file_size(to, ignored);
  return {};
}

result<void> copy(const fs::path& from, const fs::path& to, const std::string& dtype,
                  conversion& sums) {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path& file = entry.path();
    const fs::path target = to / file.lexically_relative(from);
    result<void> ok;
    if (entry.is_directory()) {
      fs::create_directories(target, error);
    } else if (left_behind(file)) {
      continue;
    } else if (file.extension() == ".safetensors") {
      ok = convert_file(file, target, dtype, sums);
    } else if (is_pickle(file)) {
      ok = convert_file(file, converted_name(target), dtype, sums);
    } else {
      fs::copy_file(file, target, error);
    }
    if (!ok) return ok;
    if (error) return fail(ec::bad_file, fmt::format("{}: {}", target.string(), error.message()));
  }
  return {};
}

result<void> unpack(const fs::path& from, const fs::path& to, const std::string& dtype,
                    conversion& sums) {
  const auto engine = pipelines::get_engine();
  if (!engine) return fail(engine.error());
  if (auto ok = (*engine)->unpack_checkpoint(from, to, dtype); !ok) return ok;
  std::error_code error;
  sums.before = fs::file_size(from, error);
  sums.after = pipelines::weight_bytes(to);
  return {};
}

// A copy of what is broken would look like a model.
result<void> check_whole(const fs::path& from) {
  std::error_code none;
  if (!fs::exists(from / pipelines::model_index_name, none)) return {};
  const auto report = inspect(from, false);
  if (!report) return fail(report.error());
  if (report->missing.empty()) return {};
  return fail(ec::bad_file, fmt::format("{}: cannot be converted, it is broken: {}", from.string(),
                                        fmt::join(report->missing, "; ")));
}

}  // namespace

result<conversion> convert_model(const fs::path& from, const fs::path& to,
                                 const std::string& dtype) {
  std::error_code error;
  const bool single = fs::is_regular_file(from, error);
  if (!single && !fs::is_directory(from, error)) {
    return fail(ec::bad_file,
                fmt::format("{}: neither a model's folder nor a checkpoint", from.string()));
  }
  if (auto ok = check_whole(from); !ok) return fail(ok.error());
  if (fs::exists(to, error)) {
    return fail(ec::bad_config, fmt::format("{}: is there already", to.string()));
  }
  fs::create_directories(to, error);
  if (error) return fail(ec::bad_file, fmt::format("{}: {}", to.string(), error.message()));
  conversion sums;
  auto ok = single ? unpack(from, to, dtype, sums) : copy(from, to, dtype, sums);
  if (ok && sums.before == 0) {
    ok = fail(ec::bad_file, fmt::format("{}: holds no weights", from.string()));
  }
  if (ok) return sums;
  fs::remove_all(to, error);
  return fail(std::move(ok.error()));
}

}  // namespace lp::model_tool
