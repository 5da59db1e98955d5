// SPDX-License-Identifier: MIT
#include "pipelines/engine/single_file.hpp"

#include <fmt/format.h>

#include "pipelines/engine/network_loader.hpp"
#include "pipelines/engine/precision.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class single_file_loader {
 public:
  single_file_loader(const fs::path& file, const stable_diffusion_options& options)
      : file_(file), options_(options) {}

  result<std::unique_ptr<stable_diffusion::parts>> load() {
    auto sorted = sort_single_file(file_);
    if (!sorted) return fail(sorted.error());
    sorted_ = std::make_shared<const sorted_checkpoint>(std::move(*sorted));
    p_ = std::make_unique<stable_diffusion::parts>();
    p_->device = options_.device;
    p_->precision = options_.precision;
    p_->zeros_for_no_negative = sorted_->xl;
    p_->scheduler_config = sorted_->scheduler;
    if (const auto tried = p_->new_scheduler(); !tried) return fail(tried.error());
    if (auto ok = load_words(); !ok) return fail(ok.error());
    if (auto ok = load_networks(); !ok) return fail(ok.error());
    if (!sorted_->assumed.empty()) p_->notes.push_back(sorted_->assumed);
    if (const auto& extra = sorted_->tensors.left_out; !extra.empty())
      p_->notes.push_back(left_out_note(file_.filename().string(), extra));
    return std::move(p_);
  }

 private:
  result<void> load_words() {
    auto words = clip_tokenizer::open(sorted_->words);
    if (!words) return fail(words.error());
    p_->tokenizers.push_back(sorted_->open_clip ? words->with_pad('!') : *words);
    if (sorted_->xl) p_->tokenizers.push_back(words->with_pad('!'));
    return {};
  }

  result<void> load_networks() {
    using named = renamed_checkpoint;
    const auto lean = scalar_type(p_->precision);
    const auto config = parse_unet_config(sorted_->unet);
    if (!config) return told(config.error());
    const auto vae = parse_autoencoder_kl_config(sorted_->vae);
    if (!vae) return told(vae.error());
    const auto kind = kind_of_network(*config, vae->latent_channels);
    if (!kind) return told(kind.error());
    if (*kind == diffusion_kind::upscaling)
      return told({ec::bad_file, "upscalers are loaded from folders", {}});
    p_->kind = *kind;
    p_->scaling_factor = vae->scaling_factor;
    if (auto ok = add_text("text_encoder", &named::text, sorted_->text, at::kFloat); !ok) return ok;
    if (sorted_->xl)
      if (auto ok = add_text("text_encoder_2", &named::text_2, sorted_->text_2, lean); !ok)
        return ok;
    const network_loader loader(*p_, options_);
    if (auto ok = loader.add_unet(share("unet", &named::unet), *config, lean); !ok) return ok;
    const auto pictures = options_.device.is_cpu() ? lean : at::kFloat;
    return loader.add(p_->vae, share("vae", &named::vae), *vae, pictures);
  }

  result<void> add_text(const char* name, stored_tensors renamed_checkpoint::*tensors,
                        const json::object& json, at::ScalarType dtype) {
    const auto config = parse_clip_text_config(json);
    if (!config) return told(config.error());
    part<clip_text> text;
    if (auto ok = network_loader(*p_, options_).add(text, share(name, tensors), *config, dtype);
        !ok)
      return ok;
    p_->texts.push_back(std::move(text));
    return {};
  }

  /// One network's share of the file. While the pipeline is being loaded the tensors are at hand;
  /// later the file, which nobody holds open, is looked into again.
  component share(const char* name, stored_tensors renamed_checkpoint::*tensors) const {
    const auto place = [file = file_, name]() -> std::string {
      const auto at = place_of_file(file);
      return at.empty() ? at : fmt::format("{} {}", at, name);
    };
    const auto open = [file = file_, tensors,
                       at_hand = std::weak_ptr(sorted_)](bool ahead) -> result<stored_tensors> {
      if (const auto there = at_hand.lock()) return there->tensors.*tensors;
      auto again = sort_single_file(file, ahead);
      if (!again) return fail(again.error());
      return std::move(again->tensors.*tensors);
    };
    return {file_, place, open};
  }

  result<void> told(error e) const {
    return fail(e.code, fmt::format("{}: {}", file_.string(), e.message));
  }

  const fs::path& file_;
  const stable_diffusion_options& options_;
  std::shared_ptr<const sorted_checkpoint> sorted_;
  std::unique_ptr<stable_diffusion::parts> p_;
};

}  // namespace

result<std::unique_ptr<stable_diffusion::parts>> load_single_file(
    const fs::path& file, const stable_diffusion_options& options) {
  return single_file_loader(file, options).load();
}

}  // namespace lp::engine
