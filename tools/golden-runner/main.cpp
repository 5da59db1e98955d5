// SPDX-License-Identifier: MIT
// lp-goldens: compares what the engine computes with recorded results of the Python libraries.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <boost/json.hpp>

#include "pipelines/engine/python_json.hpp"
#include "runtime/base/clock.hpp"
#include "tools/golden-runner/compare.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

struct verdict {
  enum class state { passed, failed, todo } is = state::failed;
  double worst = INFINITY;
  std::string detail;
};

struct totals {
  int passed = 0;
  int failed = 0;
  int todo = 0;
};

verdict failure(std::string why) {
  return {verdict::state::failed, INFINITY, std::move(why)};
}

/// The worst tensor decides. A case that expects tensors which its kind's function does not know
/// is not implemented as a whole, unless one that was computed is wrong.
verdict judge(const golden_case& c, const answer& got) {
  verdict out{verdict::state::passed, 0, "exact"};
  double share = 0;
  std::string unknown;
  for (const auto& [name, expected] : c.expected()) {
    const auto value = got.values.find(name);
    if (value == got.values.end()) {
      unknown = name;
      continue;
    }
    const distance d = compare(value->second, expected);
    if (!(d.share > share)) continue;
    share = d.share;
    out = {d.passed() ? verdict::state::passed : verdict::state::failed, d.worst,
           fmt::format("{} {}, {:.3g} of the tolerance", name, d.where, d.share)};
  }
  if (out.is == verdict::state::passed && !unknown.empty()) {
    return {verdict::state::todo, 0, fmt::format("no way to compute {}", unknown)};
  }
  return out;
}

verdict run_case(const fs::path& root, const json::object& entry, std::string_view kind) {
  const runner run = find_runner(kind);
  if (run == nullptr) return {verdict::state::todo, 0, fmt::format("kind {}", kind)};
  try {
    const auto c = golden_case::open(root, entry);
    if (!c) return failure(c.error().message);
    const auto got = run(*c);
    if (!got) return failure(got.error().message);
    if (!got->todo.empty()) return {verdict::state::todo, 0, got->todo};
    return judge(*c, *got);
  } catch (const c10::Error& e) {
    return failure(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return failure(e.what());
  }
}

void report(const std::string& name, const verdict& v, double ms, bool verbose, totals& sum) {
  std::string detail = v.detail.substr(0, v.detail.find('\n'));
  if (verbose) detail += fmt::format("; {:.0f} ms", ms);
  switch (v.is) {
    case verdict::state::passed:
      ++sum.passed;
      fmt::print("PASS {}{}\n", name, verbose ? fmt::format(" ({})", detail) : "");
      break;
    case verdict::state::todo:
      ++sum.todo;
      fmt::print("TODO {}{}\n", name, verbose ? fmt::format(" ({})", detail) : "");
      break;
    case verdict::state::failed:
      ++sum.failed;
      fmt::print("FAIL {} worst={:.3g} ({})\n", name, v.worst, detail);
      break;
  }
  std::fflush(stdout);
}

/// The member as text, or "" where it is missing or no string.
std::string member(const json::object& entry, std::string_view key) {
  const json::value* value = entry.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

void run_entry(const fs::path& root, const json::object& entry, const std::string& name,
               bool verbose, totals& sum) {
  const auto begin = clock::now();
  const verdict v = run_case(root, entry, member(entry, "kind"));
  report(name, v, to_ms(clock::now() - begin), verbose, sum);
}

/// The entry of a folder with weights and "golden/case.json", in the form of a manifest's. Tensors
/// "target_..." are what others were fitted to: nothing computes them.
json::object entry_of_weights(const std::string& name, const json::object& recorded) {
  json::object expected;
  const double atol = recorded.contains("atol") ? recorded.at("atol").to_number<double>() : 0;
  if (const auto* list = recorded.if_contains("expected"); list != nullptr && list->is_object()) {
    for (const auto& [tensor, info] : list->get_object())
      if (!tensor.starts_with("target_")) expected[tensor] = {{"atol", atol}};
  }
  return {{"name", name},
          {"kind", "weights"},
          {"model_dir", name},
          {"expected", expected},
          {"files",
           {{"inputs", name + "/golden/inputs.safetensors"},
            {"expected", name + "/golden/expected.safetensors"}}}};
}

/// Folders of trained networks; false where `root` holds none.
bool run_weight_folders(const fs::path& root, bool verbose, totals& sum) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root, ignored))
    if (fs::exists(entry.path() / "golden" / "case.json", ignored)) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  for (const auto& folder : folders) {
    const auto name = folder.filename().string();
    const auto recorded = engine::read_python_json_file(folder / "golden" / "case.json");
    if (!recorded) {
      report(name, failure(recorded.error().message), 0, verbose, sum);
      continue;
    }
    run_entry(root, entry_of_weights(name, *recorded), name, verbose, sum);
  }
  return !folders.empty();
}

void run_folder(const fs::path& root, bool verbose, totals& sum) {
  std::error_code ignored;
  if (!fs::exists(root / "manifest.json", ignored) && run_weight_folders(root, verbose, sum))
    return;
  const auto manifest = engine::read_python_json_file(root / "manifest.json");
  const json::value* cases = manifest ? manifest->if_contains("cases") : nullptr;
  if (cases == nullptr || !cases->is_array()) {
    const auto why =
        manifest ? "manifest.json: expected a list \"cases\"" : manifest.error().message;
    report(root.string(), failure(why), 0, verbose, sum);
    return;
  }
  for (const json::value& value : cases->get_array()) {
    const json::object* entry = value.if_object();
    const std::string name = entry ? member(*entry, "name") : "";
    const std::string kind = entry ? member(*entry, "kind") : "";
    if (name.empty() || kind.empty()) {
      report(name.empty() ? root.string() : name, failure("a case without a name or a kind"), 0,
             verbose, sum);
      continue;
    }
    run_entry(root, *entry, name, verbose, sum);
  }
}

constexpr const char* usage =
    "usage: lp-goldens [--verbose] DIR...\n\n"
    "Runs the cases of each folder's manifest.json and prints PASS, FAIL or TODO (not "
    "implemented)\n"
    "for each. --verbose adds the worst tensor and the time. Exits 0 if nothing failed.\n";

int run(const std::vector<std::string>& arguments) {
  bool verbose = false;
  std::vector<fs::path> folders;
  for (const std::string& argument : arguments) {
    if (argument == "-h" || argument == "--help") {
      fmt::print("{}", usage);
      return 0;
    }
    if (argument == "-v" || argument == "--verbose") {
      verbose = true;
    } else {
      folders.emplace_back(argument);
    }
  }
  if (folders.empty()) {
    fmt::print(stderr, "{}", usage);
    return 2;
  }
  at::set_num_threads(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const c10::InferenceMode no_gradients;
  totals sum;
  for (const fs::path& folder : folders) run_folder(folder, verbose, sum);
  fmt::print("{} passed, {} failed, {} todo\n", sum.passed, sum.failed, sum.todo);
  return sum.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lp::goldens

int main(int count, char** values) {
  try {
    return lp::goldens::run({values + 1, values + count});
  } catch (const std::exception& e) {
    fmt::print(stderr, "lp-goldens: {}\n", e.what());
    return 1;
  }
}
