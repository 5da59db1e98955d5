// SPDX-License-Identifier: MIT
#include "pipelines/description.hpp"

#include <algorithm>
#include <stdexcept>

namespace lp::pipelines {

namespace {

// Filled before main(), in whatever order the files are initialised.
std::vector<description>& registry() {
  static std::vector<description> list;
  return list;
}

}  // namespace

const parameter* description::find(std::string_view parameter_name) const {
  for (const parameter& p : parameters) {
    if (p.name == parameter_name) return &p;
  }
  return nullptr;
}

const std::vector<description>& all() {
  return registry();
}

const description* find(std::string_view name) {
  for (const description& d : registry()) {
    if (d.name == name) return &d;
  }
  return nullptr;
}

bool add(description d) {
  if (find(d.name) != nullptr) throw std::logic_error("pipeline described twice: " + d.name);
  auto& list = registry();
  const auto place =
      std::upper_bound(list.begin(), list.end(), d,
                       [](const description& a, const description& b) { return a.name < b.name; });
  list.insert(place, std::move(d));
  return true;
}

}  // namespace lp::pipelines
