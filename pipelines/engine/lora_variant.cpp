// SPDX-License-Identifier: MIT
// Pipelines with additions to their layers.
#include <algorithm>
#include <string>

#include "pipelines/engine/lora.hpp"
#include "pipelines/engine/lora_delta.hpp"
#include "pipelines/engine/stable_diffusion_parts.hpp"

namespace lp::engine {

adapter_sizes stable_diffusion::parts::adapters_of(const lora_file& file) const {
  adapter_sizes out;
  const auto width = [&](const lora_entry& e) -> std::int64_t {
    return precision != weight_precision::fp32 && e.network == "unet" ? 2 : 4;
  };
  for (const auto& e : file.entries()) {
    if (!stays_low_rank(e)) {
      out.bytes += static_cast<std::uint64_t>(changed_numbers(e) * width(e));
      continue;
    }
    const auto down = e.at(lora_role::down), mid = e.at(lora_role::mid);
    const auto kernel = mid.defined() && mid.dim() == 4 ? mid.size(2) * mid.size(3) : 1;
    const auto numbers = down.numel() * kernel + e.at(lora_role::up).numel();
    out.bytes += static_cast<std::uint64_t>(numbers * width(e));
    if (kernel > 1 || (down.dim() == 4 && down.size(2) > 1))
      out.rank = std::max(out.rank, down.size(0));
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
    if (file->concerns("unet")) {
      auto made = with_lora(*changed->unet, *file, strength, unmatched);
      if (!made) return fail(made.error());
      changed->unet = std::move(*made);
    }
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string name = i == 0 ? "text_encoder" : "text_encoder_2";
      if (!file->concerns(name)) continue;
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
