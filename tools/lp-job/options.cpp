// SPDX-License-Identifier: MIT
#include "tools/lp-job/options.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

namespace lp::job {

namespace json = boost::json;

namespace {

// "--model-id,--model_id": as options are spelt, and as the HTTP interface spells the parameter.
std::string option_names(const std::string& name) {
  std::string dashed = name;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return dashed == name ? "--" + name : fmt::format("--{},--{}", dashed, name);
}

const char* type_name(const pipelines::parameter& p) {
  switch (p.type) {
    case pipelines::parameter::kind::integer:
      return "INT";
    case pipelines::parameter::kind::number:
      return "NUMBER";
    case pipelines::parameter::kind::boolean:
      return "BOOL";
    case pipelines::parameter::kind::file:
      return "FILE";
    case pipelines::parameter::kind::string:
      break;
  }
  return "TEXT";
}

result<job_file> read_file(const std::string& field, const std::filesystem::path& path) {
  std::error_code none;
  std::ifstream in;
  if (!std::filesystem::is_directory(path, none)) in.open(path, std::ios::binary);
  if (!in.is_open()) {
    return fail(ec::bad_file, fmt::format("{}: {} cannot be read", field, path.string()));
  }
  return job_file{field, path.filename().string(), {std::istreambuf_iterator<char>(in), {}}};
}

std::string help_of(const pipelines::parameter& p) {
  std::string out = p.help;
  if (!p.choices.empty()) out += fmt::format(" One of {}.", fmt::join(p.choices, ", "));
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
    const auto keep = [&values, name = p.name](const std::string& text) { values[name] = text; };
    CLI::Option* option =
        command->add_option_function<std::string>(option_names(p.name), keep, help_of(p));
    option->type_name(type_name(p));
    if (p.required) option->required();
  }
  return command;
}

result<job_body> body_of(const pipelines::description& d, const given& values) {
  job_body body;
  for (const auto& [name, text] : values) {
    if (d.find(name)->type != pipelines::parameter::kind::file) {
      body.params[name] = text;
      continue;
    }
    auto file = read_file(name, text);
    if (!file) return fail(std::move(file.error()));
    body.files.push_back(std::move(*file));
  }
  std::vector<pipelines::given_file> files;
  for (const job_file& f : body.files) files.push_back({f.field, f.bytes});
  const auto checked = pipelines::validate(d, body.params, files);
  if (!checked) return fail(checked.error());
  for (auto& member : body.params) member.value() = checked->at(member.key());
  return body;
}

}  // namespace lp::job
