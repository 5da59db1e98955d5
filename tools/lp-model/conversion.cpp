// SPDX-License-Identifier: MIT
#include "tools/lp-model/conversion.hpp"

#include <fmt/format.h>

#include "pipelines/catalogue.hpp"
#include "pipelines/engine.hpp"

namespace lp::model_tool {

namespace fs = std::filesystem;

namespace {

result<void> copy(const fs::path& from, const fs::path& to, const std::string& dtype,
                  conversion& sums) {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path target = to / entry.path().lexically_relative(from);
    if (entry.is_directory()) {
      fs::create_directories(target, error);
    } else if (entry.path().extension() == ".safetensors") {
      const auto engine = pipelines::get_engine();
      if (!engine) return fail(engine.error());
      auto ok = (*engine)->convert_weights(entry.path(), target, dtype);
      if (!ok) return ok;
      sums.before += entry.file_size();
      sums.after += fs::file_size(target, error);
    } else if (entry.path().filename() != ".hub.json") {  // its digests are of other files
      fs::copy_file(entry.path(), target, error);
    }
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

}  // namespace

result<conversion> convert_model(const fs::path& from, const fs::path& to,
                                 const std::string& dtype) {
  std::error_code error;
  const bool single = fs::is_regular_file(from, error);
  if (!single && !fs::is_directory(from, error)) {
    return fail(ec::bad_file,
                fmt::format("{}: neither a model's folder nor a checkpoint", from.string()));
  }
  if (fs::exists(to, error)) {
    return fail(ec::bad_config, fmt::format("{}: is there already", to.string()));
  }
  fs::create_directories(to, error);
  if (error) return fail(ec::bad_file, fmt::format("{}: {}", to.string(), error.message()));
  conversion sums;
  auto ok = single ? unpack(from, to, dtype, sums) : copy(from, to, dtype, sums);
  if (ok) return sums;
  fs::remove_all(to, error);
  return fail(std::move(ok.error()));
}

}  // namespace lp::model_tool
