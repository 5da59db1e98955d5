// SPDX-License-Identifier: MIT
// lp-vectors: computes the vectors of payment files and compares.
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "tools/vector-runner/kinds.hpp"

namespace lp::vectors {
namespace {

struct totals {
  int passed = 0;
  int failed = 0;
  int todo = 0;
};

void print(const std::string& name, const verdict& v, totals& sum) {
  switch (v.is) {
    case verdict::state::passed:
      ++sum.passed;
      fmt::print("PASS {}\n", name);
      break;
    case verdict::state::todo:
      ++sum.todo;
      fmt::print("TODO {} ({})\n", name, v.detail);
      break;
    case verdict::state::failed:
      ++sum.failed;
      fmt::print("FAIL {} ({})\n", name, v.detail);
      break;
  }
}

void run_file(const std::string& path, totals& sum) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  boost::system::error_code bad;
  const json::value root = json::parse(text, bad);
  if (!in.good() && !in.eof()) {
    return print(path, {verdict::state::failed, "cannot be read"}, sum);
  }
  if (bad || !root.is_object()) {
    return print(path, {verdict::state::failed, "expected a JSON object"}, sum);
  }
  const auto report = [&](const std::string& name, const verdict& v) { print(name, v, sum); };
  for (const auto& [key, vectors] : root.get_object()) {
    // Members such as "_about" are remarks.
    if (key.starts_with('_')) continue;
    if (!run_kind(key, vectors, report)) {
      print(key, {verdict::state::todo, "no such kind is known"}, sum);
    }
  }
}

int run(const std::vector<std::string>& files) {
  if (files.empty() || files.front() == "-h" || files.front() == "--help") {
    fmt::print(files.empty() ? stderr : stdout,
               "usage: lp-vectors FILE...\n\n"
               "Computes the vectors of each JSON file and prints PASS, FAIL or TODO (no such kind "
               "is known)\nand a name for each. Exits 0 if nothing failed.\n");
    return files.empty() ? 2 : 0;
  }
  totals sum;
  for (const std::string& file : files) run_file(file, sum);
  fmt::print("{} passed, {} failed, {} todo\n", sum.passed, sum.failed, sum.todo);
  return sum.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lp::vectors

int main(int count, char** values) {
  try {
    return lp::vectors::run({values + 1, values + count});
  } catch (const std::exception& e) {
    fmt::print(stderr, "lp-vectors: {}\n", e.what());
    return 1;
  }
}
