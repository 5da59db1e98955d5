// SPDX-License-Identifier: MIT
#include "pipelines/model_index.hpp"

#include <fstream>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

namespace lp::pipelines {

namespace json = boost::json;

namespace {

// Real ones have less than a kilobyte.
constexpr std::size_t most_bytes = 1 << 20;

result<std::string> read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(most_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.eof() && !in.good()) {
    return fail(ec::bad_file, fmt::format("{}: cannot be read", file.string()));
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most_bytes) {
    return fail(ec::bad_file, fmt::format("{}: longer than {} bytes", file.string(), most_bytes));
  }
  return text;
}

}  // namespace

result<std::string> model_class(const std::filesystem::path& folder) {
  const auto file = folder / model_index_name;
  const auto text = read(file);
  if (!text) return fail(text.error());
  boost::system::error_code error;
  const json::value index = json::parse(*text, error);
  if (error) {
    return fail(ec::bad_file, fmt::format("{}: not JSON: {}", file.string(), error.message()));
  }
  const json::object* members = index.if_object();
  const json::value* name = members == nullptr ? nullptr : members->if_contains("_class_name");
  if (name == nullptr || !name->is_string()) {
    return fail(ec::bad_file,
                fmt::format("{}: expected an object with a string _class_name", file.string()));
  }
  return std::string(std::string_view(name->get_string()));
}

}  // namespace lp::pipelines
