// SPDX-License-Identifier: MIT
#include "pipelines/safety.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include "pipelines/engine.hpp"

namespace lp::pipelines {

namespace {

constexpr const char* entry_point = "lp_safety_classifier";

tl::unexpected<error> unusable(const std::filesystem::path& library) {
  const char* words = ::dlerror();
  return fail(ec::bad_config, fmt::format("{}: no safety classifier: {}", library.string(),
                                          words == nullptr ? "it gave none" : words));
}

result<std::shared_ptr<safety_classifier>> open_library(const std::filesystem::path& library) {
  // Never closed: objects of the library live until the process ends.
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return unusable(library);
  using make_function = safety_classifier* (*)();
  const auto make = reinterpret_cast<make_function>(::dlsym(handle, entry_point));
  if (make == nullptr) return unusable(library);
  safety_classifier* const made = make();
  if (made == nullptr) return unusable(library);
  return std::shared_ptr<safety_classifier>(made, [](safety_classifier* /*stays*/) {});
}

}  // namespace

result<std::shared_ptr<safety_classifier>> open_classifier(const std::filesystem::path& what) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(what, ignored)) return open_library(what);
  const auto engine = get_engine();
  if (!engine) return fail(engine.error());
  const auto inside = what / "safety_checker";
  return (*engine)->open_safety_checker(
      std::filesystem::is_directory(inside, ignored) ? inside : what, {});
}

bool asks_for_check(const boost::json::object& params) {
  const boost::json::value* asked = params.if_contains("safety_check");
  return asked != nullptr && asked->is_bool() && asked->get_bool();
}

result<void> check_safety(safety_classifier& classifier, output& out) {
  for (media& file : out.files) {
    if (!file.mime.starts_with("image/")) continue;
    const auto engine = get_engine();
    if (!engine) return fail(engine.error());
    const auto seen = (*engine)->decode_picture(*file.data, picture_form::rgb, {});
    if (!seen) return fail(seen.error());
    const auto offensive = classifier.offensive(*seen);
    if (!offensive) {
      return fail(ec::pipeline_failed, fmt::format("the safety check by {} failed: {}",
                                                   classifier.name(), offensive.error().message));
    }
    file.nsfw = *offensive;
  }
  return {};
}

}  // namespace lp::pipelines
