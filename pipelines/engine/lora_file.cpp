// SPDX-License-Identifier: MIT
// Reading files of additions, and finding them by name.
#include <algorithm>
#include <cmath>
#include <optional>
#include <system_error>

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/lora.hpp"
#include "pipelines/engine/lora_delta.hpp"
#include "pipelines/engine/lora_names.hpp"
#include "pipelines/engine/peft_alphas.hpp"
#include "pipelines/engine/safetensors.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;

constexpr auto peft_file = "adapter_model.safetensors";

/// The entries by what their tensors' names have in common.
using keyed_entries = std::map<std::string, lora_entry>;

result<void> add_tensor(const fs::path& path, const std::string& name, const lora_name& what,
                        at::Tensor tensor, keyed_entries& out) {
  const bool single = what.role == lora_role::alpha || what.role == lora_role::scalar;
  if (single && tensor.numel() != 1)
    return fail(ec::bad_file, fmt::format("{}: {}: expected one number", path.string(), name));
  if (what.by_output) tensor = tensor.reshape({-1});
  auto& e = out[what.key];
  // Of several names the message takes the one that is told the most.
  if (e.name.empty() || !single) e.name = name;
  e.tensors[what.role] = std::move(tensor);
  return {};
}

result<keyed_entries> read_entries(const fs::path& path, std::vector<std::string>& unmatched) {
  const auto tensors = open_tensors(path);
  if (!tensors) return fail(tensors.error());
  keyed_entries out;
  for (const auto& [name, stored] : *tensors) {
    const auto what = read_lora_name(name);
    if (!what) {
      unmatched.push_back(name);
      continue;
    }
    auto loaded = stored.load();
    if (!loaded) return fail(loaded.error());
    if (!at::isFloatingType(loaded->scalar_type()) && what->role != lora_role::alpha)
      return fail(ec::bad_file,
                  fmt::format("{}: {} has dtype {}", path.string(), name, stored.dtype));
    if (auto ok = add_tensor(path, name, *what, std::move(*loaded), out); !ok)
      return fail(ok.error());
  }
  return out;
}

/// What PEFT noted of the file, if anything.
result<std::optional<peft_alphas>> read_noted(const fs::path& path) {
  constexpr auto key = "lora_adapter_metadata";
  std::error_code ignored;
  const auto beside = path.parent_path() / "adapter_config.json";
  boost::json::value noted;
  std::string where = path.string();
  const auto opened = safetensors_file::open(path);
  if (opened && (*opened)->metadata().contains(key)) {
    where += fmt::format(": {}", key);
    auto parsed = parse_json((*opened)->metadata().at(key), where);
    if (!parsed) return fail(parsed.error());
    noted = std::move(*parsed);
  } else if (path.filename() == peft_file && fs::is_regular_file(beside, ignored)) {
    where = beside.string();
    auto parsed = read_json_file(beside);
    if (!parsed) return fail(parsed.error());
    noted = std::move(*parsed);
  }
  if (noted.is_null()) return std::optional<peft_alphas>();
  if (!noted.is_object()) return fail(ec::bad_file, fmt::format("{}: expected an object", where));
  auto read = peft_alphas::read(noted.get_object(), where);
  if (!read) return fail(read.error());
  return std::optional(std::move(*read));
}

/// alpha / rank.
double scale_of(const lora_entry& e, const std::optional<peft_alphas>& noted) {
  auto rank = rank_of(e);
  if (const auto alpha = e.at(lora_role::alpha); alpha.defined()) {
    // Without a product there is no rank to divide by.
    return rank > 0 ? alpha.to(at::kDouble).item<double>() / static_cast<double>(rank) : 1;
  }
  if (!noted) return 1;
  if (rank == 0) rank = noted->rank(e.network, e.layer).value_or(0);
  return noted->scale(e.network, e.layer, rank).value_or(1);
}

}  // namespace

bool lora_file::concerns(std::string_view network) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const auto& e) { return e.network == network; });
}

result<std::shared_ptr<const lora_file>> lora_file::open(const fs::path& path) {
  auto out = std::make_shared<lora_file>();
  out->path_ = path;
  auto entries = read_entries(path, out->unmatched_);
  if (!entries) return fail(entries.error());
  const auto noted = read_noted(path);
  if (!noted) return fail(noted.error());
  for (auto& [key, e] : *entries) {
    if (!is_complete(e) || !place_lora(key, e)) {
      out->unmatched_.push_back(e.name);
      continue;
    }
    const bool has_rank = e.has(lora_role::down) || e.has(lora_role::product_1b);
    if (has_rank && rank_of(e) == 0)
      return fail(ec::bad_file, fmt::format("{}: {}: has no rank", path.string(), e.name));
    e.scale = scale_of(e, *noted);
    if (!std::isfinite(e.scale))
      return fail(ec::bad_file,
                  fmt::format("{}: {}: its alpha is not a finite number", path.string(), e.name));
    out->entries_.push_back(std::move(e));
  }
  // Files that name the UNet's layers both ways mean the same by both.
  const auto unet_has = [&](bool (*named)(std::string_view)) {
    return std::any_of(out->entries_.begin(), out->entries_.end(),
                       [&](const auto& e) { return e.network == "unet" && named(e.layer); });
  };
  if (unet_has(is_original_name) && unet_has(is_diffusers_name))
    std::erase_if(out->entries_,
                  [](const auto& e) { return e.network == "unet" && is_original_name(e.layer); });
  if (const auto opened = safetensors_file::open(path)) {
    const auto classes = (*opened)->metadata().find("unet");
    if (classes != (*opened)->metadata().end())
      out->numbers_gates_ = classes->second.find("GEGLU") != std::string::npos;
  }
  if (out->entries_.empty())
    return fail(ec::bad_file, fmt::format("{}: expected low-rank additions (pairs of names such as "
                                          "...lora.down.weight and ...lora.up.weight), found none",
                                          path.string()));
  return std::shared_ptr<const lora_file>(std::move(out));
}

result<fs::path> find_lora(const fs::path& model, const std::string& name) {
  const fs::path wanted(name);
  const bool leads_out = name.empty() || wanted.is_absolute() ||
                         std::find(wanted.begin(), wanted.end(), fs::path("..")) != wanted.end();
  if (leads_out)
    return fail(ec::invalid_parameters,
                fmt::format("loras: \"{}\": expected the name of a file", name));
  std::error_code ignored;
  for (const auto& root : {model, model.parent_path(), model.parent_path().parent_path()}) {
    const auto base = root / "loras" / wanted;
    for (const auto& file : {base, fs::path(base.string() + ".safetensors"),
                             base / "pytorch_lora_weights.safetensors", base / peft_file}) {
      if (fs::is_regular_file(file, ignored)) return file;
    }
  }
  return fail(ec::invalid_parameters,
              fmt::format("loras: there is no file \"{}\" in the folder loras of this node", name));
}

}  // namespace lp::engine
