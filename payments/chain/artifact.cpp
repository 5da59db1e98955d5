// SPDX-License-Identifier: MIT
#include "payments/chain/artifact.hpp"

#include <cstring>
#include <fstream>
#include <iterator>

#include <fmt/core.h>
#include <boost/json/parse.hpp>

#include "payments/chain/quantity.hpp"

namespace lp::payments {

namespace json = boost::json;

namespace {

// Where a library's address goes is marked in the text by letters that are no digits.
bool put(std::string& code_text, const json::value& place, const address& library) {
  if (!place.is_object()) return false;
  const json::value& start = member(place.get_object(), "start");
  const std::string digits = library.hex();
  if (!start.is_int64() || start.get_int64() < 0) return false;
  const std::size_t at = 2 + 2 * static_cast<std::size_t>(start.get_int64());
  if (at + digits.size() > code_text.size()) return false;
  code_text.replace(at, digits.size(), digits);
  return true;
}

// {"contracts/libraries/L.sol": {"L": [{"length": 20, "start": 3664}, ...]}}
bool link(std::string& code_text, const json::value& references,
          const std::map<std::string, address>& libraries) {
  if (!references.is_object()) return true;
  for (const auto& file : references.get_object()) {
    if (!file.value().is_object()) return false;
    for (const auto& library : file.value().get_object()) {
      const auto found = libraries.find(std::string(library.key()));
      if (found == libraries.end() || !library.value().is_array()) return false;
      for (const json::value& place : library.value().get_array()) {
        if (!put(code_text, place, found->second)) return false;
      }
    }
  }
  return true;
}

}  // namespace

result<std::string> read_artifact(const std::filesystem::path& file,
                                  const std::map<std::string, address>& libraries) {
  const auto wrong = [&](std::string_view what) {
    return fail(ec::bad_file, fmt::format("{}: {}", file.string(), what));
  };
  std::ifstream in(file, std::ios::binary);
  if (!in) return wrong("cannot be read; tools/setup --chain installs the contracts");
  const std::string text(std::istreambuf_iterator<char>(in), {});
  json::error_code bad;
  const json::value parsed = json::parse(text, bad);
  if (bad || !parsed.is_object()) return wrong("expected a compiled contract (JSON)");
  const json::object& o = parsed.get_object();
  const json::value& code = member(o, "bytecode");
  if (!code.is_string()) return wrong("\"bytecode\": expected a text");
  std::string code_text(std::string_view(code.get_string()));
  if (!link(code_text, member(o, "linkReferences"), libraries)) {
    return wrong("\"linkReferences\": a library is missing or misplaced");
  }
  auto bytes = hex_bytes(code_text);
  if (!bytes || bytes->empty()) return wrong("\"bytecode\": expected \"0x\" and digits");
  return std::move(*bytes);
}

}  // namespace lp::payments
