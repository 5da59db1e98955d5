// SPDX-License-Identifier: MIT
#include <vector>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <boost/json.hpp>

#include "pipelines/engine/clip_tokenizer.hpp"
#include "pipelines/engine/json_file.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {
namespace {

namespace json = boost::json;

/// The class that the folder's configuration names; CLIP's where it names none.
result<std::string> tokenizer_class(const std::filesystem::path& folder) {
  const auto config = engine::read_json_file(folder / "tokenizer_config.json");
  if (!config) return fail(config.error());
  const json::value* name = config->if_contains("tokenizer_class");
  return name != nullptr && name->is_string() ? std::string(name->get_string()) : "CLIPTokenizer";
}

result<void> check_raw(const engine::clip_tokenizer& tokenizer, const std::string& text,
                       const json::object& entry) {
  const json::value* wanted = entry.if_contains("raw_ids");
  if (wanted == nullptr) return {};
  const auto ids = tokenizer.encode_raw(text);
  if (ids == json::value_to<std::vector<std::int64_t>>(*wanted)) return {};
  return fail(ec::internal, fmt::format("raw ids of {} are {}", json::serialize(json::value(text)),
                                        json::serialize(json::value_from(ids))));
}

}  // namespace

result<answer> run_tokenizer(const golden_case& c) {
  const auto folder = c.path(c.path("vocab_dir").empty() ? "model_dir" : "vocab_dir");
  const auto name = tokenizer_class(folder);
  if (!name) return fail(name.error());
  if (*name != "CLIPTokenizer" && *name != "CLIPTokenizerFast") return answer::not_yet(*name);

  const auto tokenizer = engine::clip_tokenizer::open(folder);
  if (!tokenizer) return fail(tokenizer.error());
  if (tokenizer->bos() != c.integer("bos", tokenizer->bos()) ||
      tokenizer->eos() != c.integer("eos", tokenizer->eos())) {
    return fail(ec::internal, fmt::format("start and end token are {} and {}", tokenizer->bos(),
                                          tokenizer->eos()));
  }
  const auto path = c.path("cases_file");
  const auto text = engine::read_text_file(path);
  if (!text) return fail(text.error());
  const auto cases = engine::parse_json(*text, path);
  if (!cases) return fail(cases.error());
  std::vector<at::Tensor> rows;
  for (const json::value& entry : cases->as_array()) {
    const std::string prompt(entry.at("text").as_string());
    if (auto same = check_raw(*tokenizer, prompt, entry.as_object()); !same) {
      return fail(same.error());
    }
    rows.push_back(at::tensor(tokenizer->encode(prompt), at::kLong));
  }
  return answer{{{"ids", at::stack(rows)}}, {}};
}

}  // namespace lp::goldens
