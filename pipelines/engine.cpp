// SPDX-License-Identifier: MIT
#include "pipelines/engine.hpp"

#include <cstdlib>

#include <dlfcn.h>
#include <fmt/format.h>

namespace lp::pipelines {

namespace {

constexpr const char* library_name = "liblp_engine.so";
constexpr const char* entry_point = "lp_engine_instance";

// OpenMP's threads wait for the next loop by spinning for milliseconds, which on a machine that has
// other work makes a picture 100 times slower. Asleep from the start they take twice as long to
// compute a small network as when they spin for as long as its next loop usually takes to come.
// Its runtime reads this when the engine is opened; set before main() starts, since no other thread
// may look at the environment meanwhile. What an operator set stays.
int wait_shortly() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return 0;
  ::setenv("GOMP_SPINCOUNT", "3000", 0);
  return ::setenv("OMP_WAIT_POLICY", "active", 0);
}
[[maybe_unused]] const int waits = wait_shortly();

std::string loader_words() {
  const char* words = ::dlerror();
  return words == nullptr ? "no reason given" : words;
}

result<engine*> find_engine() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto beside = program.parent_path() / library_name;
  if (!error && std::filesystem::exists(beside, error)) return open_engine(beside);
  return open_engine(library_name);
}

}  // namespace

result<engine*> open_engine(const std::filesystem::path& library) {
  // Never closed: objects of the library live until the process ends.
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return fail(ec::internal, fmt::format("cannot open the engine: {}", loader_words()));
  }
  using instance_function = engine* (*)();
  const auto instance = reinterpret_cast<instance_function>(::dlsym(handle, entry_point));
  if (instance == nullptr) {
    return fail(ec::internal, fmt::format("{} is no engine: {}", library.string(), loader_words()));
  }
  engine* const made = instance();
  if (made == nullptr) {
    return fail(ec::internal, fmt::format("{}: the engine did not start", library.string()));
  }
  return made;
}

result<engine*> get_engine() {
  static const result<engine*> opened = find_engine();
  return opened;
}

}  // namespace lp::pipelines
