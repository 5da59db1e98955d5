// SPDX-License-Identifier: MIT
#include "pipelines/engine/lora.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/single_file.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;

/// What a name in a file says.
struct spelled {
  std::string key;  ///< the same for a layer's down, up and alpha
  enum class role { down, up, alpha } is;
};

constexpr std::array<std::pair<std::string_view, spelled::role>, 11> endings = {{
    {".lora.down.weight", spelled::role::down},
    {".lora.up.weight", spelled::role::up},
    {"_lora.down.weight", spelled::role::down},
    {"_lora.up.weight", spelled::role::up},
    {".lora_down.weight", spelled::role::down},
    {".lora_up.weight", spelled::role::up},
    {".lora_A.weight", spelled::role::down},
    {".lora_B.weight", spelled::role::up},
    {".lora_linear_layer.down.weight", spelled::role::down},
    {".lora_linear_layer.up.weight", spelled::role::up},
    {".alpha", spelled::role::alpha},
}};

std::optional<spelled> spell(std::string_view name) {
  for (const auto& [ending, role] : endings) {
    if (name.ends_with(ending))
      return spelled{std::string(name.substr(0, name.size() - ending.size())), role};
  }
  const auto colon = name.rfind(':');
  if (colon == name.npos) return std::nullopt;
  if (name.substr(colon) == ":down")
    return spelled{std::string(name.substr(0, colon)), spelled::role::down};
  if (name.substr(colon) == ":up")
    return spelled{std::string(name.substr(0, colon)), spelled::role::up};
  return std::nullopt;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// Which layer a key means; false for none.
bool place(std::string_view key, lora_entry& e) {
  const auto numbered = [&](std::string_view prefix, std::string_view network) {
    if (!take_prefix(key, prefix)) return false;
    e.network = network;
    e.number = 0;
    for (const char c : key) {
      if (c < '0' || c > '9' || e.number > 100000) return false;
      e.number = e.number * 10 + (c - '0');
    }
    return !key.empty();
  };
  if (numbered("unet:", "unet") || numbered("text_encoder:", "text_encoder")) return true;
  for (const auto& [prefix, network] : {std::pair{"lora_unet_", "unet"},
                                        {"lora_te1_", "text_encoder"},
                                        {"lora_te2_", "text_encoder_2"},
                                        {"lora_te_", "text_encoder"}}) {
    if (!take_prefix(key, prefix)) continue;
    e.network = network;
    e.layer = key;
    e.joined = true;
    return true;
  }
  e.network = "unet";
  if (take_prefix(key, "text_encoder_2.")) {
    e.network = "text_encoder_2";
  } else if (take_prefix(key, "text_encoder.")) {
    e.network = "text_encoder";
  } else {
    take_prefix(key, "unet.");
  }
  e.layer = key;
  // Older files name the attention's processor, and to_out without its number.
  replace_all(e.layer, ".processor", "");
  if (e.layer.ends_with(".to_out")) e.layer += ".0";
  return e.layer.find('.') != std::string::npos;
}

struct triple {
  std::string name;
  at::Tensor down, up;
  std::optional<double> alpha;
};

result<std::map<std::string, triple>> read_triples(const fs::path& path,
                                                   std::vector<std::string>& unmatched) {
  const auto tensors = open_tensors(path);
  if (!tensors) return fail(tensors.error());
  std::map<std::string, triple> out;
  for (const auto& [name, stored] : *tensors) {
    const auto what = spell(name);
    if (!what) {
      unmatched.push_back(name);
      continue;
    }
    const auto loaded = stored.load();
    if (!loaded) return fail(loaded.error());
    auto& t = out[what->key];
    t.name = name;
    if (what->is == spelled::role::alpha) {
      if (loaded->numel() != 1)
        return fail(ec::bad_file, fmt::format("{}: {}: expected one number", path.string(), name));
      t.alpha = loaded->to(at::kDouble).item<double>();
    } else {
      (what->is == spelled::role::down ? t.down : t.up) = *loaded;
    }
  }
  return out;
}

/// The layers of a network by name, and by the name with underscores.
struct layers {
  std::map<std::string, nn::linear*> linears;
  std::map<std::string, nn::conv2d*> convs;
  std::map<std::string, std::string> joined;
  std::vector<std::string> numbered;  ///< linear layers as the numbered layout counts them

  template <class Network>
  layers(Network& network, bool unet, bool with_gates) {
    const auto note = [&](const std::string& name) {
      auto flat = name;
      std::replace(flat.begin(), flat.end(), '.', '_');
      joined[flat] = name;
    };
    network.visit({[&](nn::linear& l) {
                     linears[l.name] = &l;
                     note(l.name);
                     if (counts(l.name, unet, with_gates)) numbered.push_back(l.name);
                   },
                   [&](nn::conv2d& c) {
                     convs[c.name] = &c;
                     note(c.name);
                   }});
    order_as_numbered(unet);
  }

  static bool counts(const std::string& name, bool unet, bool with_gates) {
    if (!unet) return name.find(".self_attn.") != name.npos;
    return name.find(".attn") != name.npos || (with_gates && name.find(".ff.net.0.") != name.npos);
  }

  /// The order of the modules in the libraries of early 2023: the middle last, the gate between the
  /// two attentions, and in text encoders key and value before the query.
  void order_as_numbered(bool unet) {
    struct turn {
      std::size_t side = 0, block = 0, part = 0;
      auto operator<=>(const turn&) const = default;
    };
    const auto among = [](std::string_view name, std::initializer_list<std::string_view> marks) {
      std::size_t i = 0;
      for (const auto mark : marks) {
        if (name.find(mark) != name.npos) break;
        ++i;
      }
      return i;
    };
    std::map<std::string, std::size_t> blocks;
    std::vector<std::pair<turn, std::string>> placed;
    for (const auto& name : numbered) {
      const auto end =
          unet ? name.find(".", name.find("transformer_blocks.") + 19) : name.find(".self_attn.");
      const auto block = blocks.emplace(name.substr(0, end), blocks.size()).first->second;
      turn p{0, block, 0};
      if (unet) {
        p.side = among(name, {"down_blocks.", "up_blocks.", "mid_block."});
        p.part = among(name, {".attn1.", ".ff.", ".attn2."});
      } else {
        p.part = among(name, {".k_proj", ".v_proj", ".q_proj", ".out_proj"});
      }
      placed.emplace_back(p, name);
    }
    std::stable_sort(placed.begin(), placed.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < placed.size(); ++i) numbered[i] = placed[i].second;
  }

  std::string name_of(const lora_entry& e, bool unet) const {
    if (e.number >= 0) {
      const auto n = static_cast<std::size_t>(e.number);
      return n < numbered.size() ? numbered[n] : std::string();
    }
    if (!e.joined) {
      if (linears.contains(e.layer) || convs.contains(e.layer)) return e.layer;
      // Text encoders come with and without this level.
      const auto inner = "text_model." + e.layer;
      if (linears.contains(inner)) return inner;
      if (e.layer.starts_with("text_model.") && linears.contains(e.layer.substr(11)))
        return e.layer.substr(11);
      return {};
    }
    for (const auto& flat :
         {e.layer, unet ? joined_diffusers_name(e.layer) : std::string(),
          e.layer.starts_with("text_model_") ? e.layer.substr(11) : "text_model_" + e.layer}) {
      if (const auto found = joined.find(flat); found != joined.end()) return found->second;
    }
    return {};
  }

  /// "input_blocks_4_1_transformer_blocks_0..." by the original names, as Diffusers has it.
  static std::string joined_diffusers_name(const std::string& flat) {
    for (const auto& [from, to] : original_block_names()) {
      if (flat.starts_with(from)) return to + flat.substr(from.size());
    }
    return {};
  }

  static const std::vector<std::pair<std::string, std::string>>& original_block_names() {
    static const auto names = [] {
      std::vector<std::pair<std::string, std::string>> out;
      const auto add = [&](const std::string& original) {
        auto name = diffusers_unet_name(original + "proj_in.weight");
        if (name.empty()) return;
        name = name.substr(0, name.size() - std::string_view("proj_in.weight").size());
        auto from = original;
        std::replace(from.begin(), from.end(), '.', '_');
        std::replace(name.begin(), name.end(), '.', '_');
        out.emplace_back(from, name);
      };
      for (int i = 0; i < 12; ++i) {
        add(fmt::format("input_blocks.{}.1.", i));
        add(fmt::format("output_blocks.{}.1.", i));
      }
      add("middle_block.1.");
      return out;
    }();
    return names;
  }
};

std::string shape_text(const at::Tensor& t) {
  return fmt::format("[{}]", fmt::join(t.sizes(), ", "));
}

/// As the layer's own weights are held. The strength goes into one of them, at full precision.
nn::adapter as_weights(const at::Tensor& down, const at::Tensor& up, double strength,
                       const at::Tensor& weight) {
  const auto options = at::TensorOptions(weight.scalar_type()).device(weight.device());
  return {down.to(options).contiguous(), (up.to(at::kFloat) * strength).to(options).contiguous()};
}

/// Adds to a layer; an error text where the shapes do not fit, else "".
std::string add_to_linear(nn::linear& l, const lora_entry& e, double strength) {
  const auto flat = [](const at::Tensor& t) { return t.dim() > 2 ? t.flatten(1) : t; };
  const auto down = flat(e.down), up = flat(e.up);
  if (down.dim() != 2 || up.dim() != 2 || up.size(1) != down.size(0) ||
      down.size(1) != l.weight.size(1) || up.size(0) != l.weight.size(0))
    return fmt::format("{} and {} do not fit a layer of {}", shape_text(e.down), shape_text(e.up),
                       shape_text(l.weight));
  l.adapters.push_back(as_weights(down, up, e.scale * strength, l.weight));
  return {};
}

std::string add_to_conv(nn::conv2d& c, const lora_entry& e, double strength) {
  const auto& w = c.weight;
  const auto deep = [](const at::Tensor& t) {
    return t.dim() == 2 ? t.unsqueeze(-1).unsqueeze(-1) : t;
  };
  const auto down = deep(e.down), up = deep(e.up);
  const bool fits = down.dim() == 4 && up.dim() == 4 && up.size(1) == down.size(0) &&
                    down.size(1) == w.size(1) && up.size(0) == w.size(0) && up.size(2) == 1 &&
                    up.size(3) == 1 && down.size(2) == w.size(2) && down.size(3) == w.size(3);
  if (!fits)
    return fmt::format("{} and {} do not fit a convolution of {}", shape_text(e.down),
                       shape_text(e.up), shape_text(w));
  c.adapters.push_back(as_weights(down, up, e.scale * strength, w));
  return {};
}

/// Adds the entries that the file has for the network of that name.
template <class Network>
result<void> add_entries(Network& net, std::string_view network, const lora_file& file,
                         double strength, std::vector<std::string>& unmatched) {
  const bool unet = network == "unet";
  const layers all(net, unet, file.numbers_gates());
  for (const auto& e : file.entries()) {
    if (e.network != network) continue;
    const auto name = all.name_of(e, unet);
    if (name.empty()) {
      unmatched.push_back(e.name);
      continue;
    }
    const auto linear = all.linears.find(name);
    const auto wrong = linear != all.linears.end() ? add_to_linear(*linear->second, e, strength)
                                                   : add_to_conv(*all.convs.at(name), e, strength);
    if (!wrong.empty())
      return fail(ec::bad_file, fmt::format("{}: {}: {}", file.path().string(), e.name, wrong));
  }
  return {};
}

bool concerns(const lora_file& file, std::string_view network) {
  return std::any_of(file.entries().begin(), file.entries().end(),
                     [&](const auto& e) { return e.network == network; });
}

}  // namespace

result<std::shared_ptr<const lora_file>> lora_file::open(const fs::path& path) {
  auto out = std::make_shared<lora_file>();
  out->path_ = path;
  auto triples = read_triples(path, out->unmatched_);
  if (!triples) return fail(triples.error());
  for (auto& [key, t] : *triples) {
    lora_entry e;
    e.name = t.name;
    if (!t.down.defined() || !t.up.defined() || !place(key, e)) {
      out->unmatched_.push_back(t.name);
      continue;
    }
    const auto rank = t.down.dim() > 0 ? t.down.size(0) : 0;
    if (rank == 0)
      return fail(ec::bad_file, fmt::format("{}: {}: has no rank", path.string(), t.name));
    e.scale = t.alpha.value_or(static_cast<double>(rank)) / static_cast<double>(rank);
    e.down = std::move(t.down);
    e.up = std::move(t.up);
    out->entries_.push_back(std::move(e));
  }
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

result<void> add_lora(unet& network, const lora_file& file, double strength,
                      std::vector<std::string>& unmatched) {
  return add_entries(network, "unet", file, strength, unmatched);
}

result<void> add_lora(clip_text& network, const std::string& name, const lora_file& file,
                      double strength, std::vector<std::string>& unmatched) {
  return add_entries(network, name, file, strength, unmatched);
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
                             base / "pytorch_lora_weights.safetensors"}) {
      if (fs::is_regular_file(file, ignored)) return file;
    }
  }
  return fail(ec::invalid_parameters,
              fmt::format("loras: there is no file \"{}\" in the folder loras of this node", name));
}

adapter_sizes stable_diffusion::parts::adapters_of(const lora_file& file) const {
  adapter_sizes out;
  const auto width = [&](const lora_entry& e) -> std::int64_t {
    return precision != weight_precision::fp32 && e.network == "unet" ? 2 : 4;
  };
  for (const auto& e : file.entries()) {
    out.bytes += static_cast<std::uint64_t>((e.down.numel() + e.up.numel()) * width(e));
    if (e.down.dim() == 4 && e.down.size(2) > 1) out.rank = std::max(out.rank, e.down.size(0));
  }
  return out;
}

namespace {

/// A copy with layers of its own and the file's additions.
template <class Network, class... Name>
result<std::shared_ptr<const Network>> with_lora(const Network& network, const lora_file& file,
                                                 double strength,
                                                 std::vector<std::string>& unmatched,
                                                 const Name&... name) {
  auto copy = std::make_shared<Network>(network);
  if (auto ok = add_lora(*copy, name..., file, strength, unmatched); !ok) return fail(ok.error());
  return copy;
}

/// The same of a text encoder; one that is there only while it is used stays so.
result<part<clip_text>> with_lora(const part<clip_text>& text, const std::string& name,
                                  const std::shared_ptr<const lora_file>& file, double strength,
                                  std::vector<std::string>& unmatched) {
  auto first = with_lora(*text.get(), *file, strength, unmatched, name);
  if (!first) return fail(first.error());
  if (text.always_there()) return part<clip_text>(std::move(*first));
  return part<clip_text>(text.config(), [text, name, file, strength] {
    std::vector<std::string> told_before;
    return with_lora(*text.get(), *file, strength, told_before, name);
  });
}

}  // namespace

result<std::shared_ptr<const stable_diffusion>> stable_diffusion::with_loras(
    const std::vector<std::pair<std::shared_ptr<const lora_file>, double>>& loras,
    std::vector<std::string>& unmatched) const {
  (void)parts_->ready_unet();
  auto changed = std::make_unique<parts>(*parts_);
  for (const auto& [file, strength] : loras) {
    unmatched.insert(unmatched.end(), file->unmatched().begin(), file->unmatched().end());
    const auto sizes = parts_->adapters_of(*file);
    changed->adapters.bytes += sizes.bytes;
    changed->adapters.rank = std::max(changed->adapters.rank, sizes.rank);
    changed->bytes += sizes.bytes;
    if (concerns(*file, "unet")) {
      auto made = with_lora(*changed->unet, *file, strength, unmatched);
      if (!made) return fail(made.error());
      changed->unet = std::move(*made);
    }
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string name = i == 0 ? "text_encoder" : "text_encoder_2";
      if (!concerns(*file, name)) continue;
      if (i < changed->texts.size()) {
        auto made = with_lora(changed->texts[i], name, file, strength, unmatched);
        if (!made) return fail(made.error());
        changed->texts[i] = std::move(*made);
        continue;
      }
      for (const auto& e : file->entries())
        if (e.network == name) unmatched.push_back(e.name);
    }
  }
  changed->finish_loading(parts_->calls == nullptr);
  return std::shared_ptr<const stable_diffusion>(new stable_diffusion(std::move(changed)));
}

}  // namespace lp::engine
