// SPDX-License-Identifier: MIT
#include "tools/lp-job/options.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

namespace lp::job {

namespace json = boost::json;

namespace {

std::string option_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

const char* type_name(const pipelines::parameter& p) {
  switch (p.type) {
    case pipelines::parameter::kind::integer:
      return "INT";
    case pipelines::parameter::kind::number:
      return "NUMBER";
    case pipelines::parameter::kind::boolean:
      return "BOOL";
    case pipelines::parameter::kind::string:
    case pipelines::parameter::kind::file:
      break;
  }
  return "TEXT";
}

std::string help_of(const pipelines::parameter& p) {
  std::string out = p.help;
  if (p.min && p.max) out += fmt::format(" From {} to {}.", *p.min, *p.max);
  if (p.fallback && p.fallback->is_double()) {
    out += fmt::format(" Default: {}.", p.fallback->get_double());
  } else if (p.fallback && *p.fallback != "") {
    out += " Default: " + json::serialize(*p.fallback) + ".";
  }
  return out;
}

}  // namespace

CLI::App* add_pipeline(CLI::App& app, const pipelines::description& d, given& values) {
  CLI::App* command = app.add_subcommand(d.name, d.summary);
  for (const pipelines::parameter& p : d.parameters) {
    if (p.type == pipelines::parameter::kind::file) continue;
    const auto keep = [&values, name = p.name](const std::string& text) { values[name] = text; };
    CLI::Option* option =
        command->add_option_function<std::string>(option_name(p.name), keep, help_of(p));
    option->type_name(type_name(p));
    if (p.required) option->required();
  }
  return command;
}

result<json::object> body_of(const pipelines::description& d, const given& values) {
  json::object body;
  for (const auto& [name, text] : values) body[name] = text;
  const auto checked = pipelines::validate(d, body);
  if (!checked) return fail(checked.error());
  for (auto& member : body) member.value() = checked->at(member.key());
  return body;
}

}  // namespace lp::job
