// SPDX-License-Identifier: MIT
#include "pipelines/engine/single_file.hpp"

#include <fmt/format.h>

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
    from_ = std::move(*sorted);
    p_ = std::make_unique<stable_diffusion::parts>();
    p_->device = options_.device;
    p_->precision = options_.precision;
    p_->zeros_for_no_negative = from_.xl;
    p_->scheduler_config = from_.scheduler;
    if (const auto tried = p_->new_scheduler(); !tried) return fail(tried.error());
    if (auto ok = load_words(); !ok) return fail(ok.error());
    if (auto ok = load_networks(); !ok) return fail(ok.error());
    return std::move(p_);
  }

 private:
  result<void> load_words() {
    auto words = clip_tokenizer::open(from_.words);
    if (!words) return fail(words.error());
    p_->tokenizers.push_back(from_.open_clip ? words->with_pad('!') : *words);
    if (from_.xl) p_->tokenizers.push_back(words->with_pad('!'));
    return {};
  }

  result<void> load_networks() {
    renamed_checkpoint& named = from_.tensors;
    const auto lean = scalar_type(p_->precision);
    if (auto ok = add_text(named.text, from_.text, at::kFloat); !ok) return ok;
    if (from_.xl)
      if (auto ok = add_text(named.text_2, from_.text_2, lean); !ok) return ok;
    const auto config = parse_unet_config(from_.unet);
    if (!config) return fail(config.error());
    const auto vae = parse_autoencoder_kl_config(from_.vae);
    if (!vae) return fail(vae.error());
    const auto kind = kind_of_network(*config, vae->latent_channels);
    if (!kind || *kind == diffusion_kind::upscaling)
      return fail(ec::bad_file,
                  fmt::format("{}: {}", file_.string(),
                              kind ? "upscalers are loaded from folders" : kind.error().message));
    p_->kind = *kind;
    p_->scaling_factor = vae->scaling_factor;
    if (auto ok = add<unet>(p_->unet, named.unet, *config, lean); !ok) return ok;
    return add<autoencoder_kl>(p_->vae, named.vae, *vae, at::kFloat);
  }

  result<void> add_text(stored_tensors& tensors, const json::object& json, at::ScalarType dtype) {
    const auto config = parse_clip_text_config(json);
    if (!config) return fail(config.error());
    part<clip_text> text;
    if (auto ok = add<clip_text>(text, tensors, *config, dtype); !ok) return ok;
    p_->texts.push_back(std::move(text));
    return {};
  }

  template <class Network, class Into, class Config>
  result<void> add(Into& into, stored_tensors& tensors, const Config& config,
                   at::ScalarType dtype) {
    const auto source = checkpoint::of(std::move(tensors), file_, dtype, options_.device);
    std::uint64_t bytes = 0;
    auto made = build_network<Network>(config, *source, &bytes);
    if (!made) return fail(made.error());
    into = Into(std::shared_ptr<const Network>(std::move(*made)));
    p_->bytes += bytes;
    return {};
  }

  const fs::path& file_;
  const stable_diffusion_options& options_;
  sorted_checkpoint from_;
  std::unique_ptr<stable_diffusion::parts> p_;
};

}  // namespace

result<std::unique_ptr<stable_diffusion::parts>> load_single_file(
    const fs::path& file, const stable_diffusion_options& options) {
  return single_file_loader(file, options).load();
}

}  // namespace lp::engine
