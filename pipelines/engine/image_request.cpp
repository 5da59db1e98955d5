// SPDX-License-Identifier: MIT
#include "pipelines/engine/image_request.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <regex>

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

#include "pipelines/media/rgb_image.hpp"

namespace lp::engine {

namespace {

namespace json = boost::json;

/// Pixels of one job's pictures together, which bounds its memory.
constexpr std::int64_t max_job_pixels = std::int64_t{16} << 20;
/// Pixels of a picture that is made four times as wide and high.
constexpr std::int64_t max_upscaled_pixels = std::int64_t{1} << 20;
constexpr std::size_t most_loras = 16;

/// What a distilled model's id fixes.
struct distilled {
  bool without_guidance = false;
  int steps = 0;  ///< 0: as requested
};

distilled distilled_from(const std::string& id) {
  static const std::regex steps_in_id("_([0-9]{1,2})step");
  std::smatch found;
  if (std::regex_search(id, found, steps_in_id) && std::stoi(found[1]) > 0)
    return {true, std::stoi(found[1])};
  return {id.ends_with("-turbo"), 0};
}

std::string text(const json::object& params, std::string_view key) {
  const auto* value = params.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t integer(const json::object& params, std::string_view key, std::int64_t fallback) {
  const auto* value = params.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : fallback;
}

double number(const json::object& params, std::string_view key, double fallback) {
  const auto* value = params.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<double>() : fallback;
}

std::int64_t choose_seed(const json::object& params) {
  const auto* given = params.if_contains("seed");
  if (given != nullptr && given->is_int64()) return given->get_int64();
  return std::random_device{}();
}

error wrong(std::string_view field, const std::string& what) {
  return {ec::invalid_parameters,
          fmt::format("{}: {}", field, what),
          {{{"body", std::string(field)}, what, "value_error"}}};
}

const pipelines::picture* find_picture(const pipelines::job_input& input, std::string_view field) {
  for (const auto& p : input.pictures) {
    if (p.field == field) return &p;
  }
  return nullptr;
}

result<void> check_picture(const pipelines::picture& p) {
  const auto values = std::uint64_t{p.width} * p.height * p.channels;
  const bool known = p.channels == 1 || p.channels == 3 || p.channels == 4;
  if (known && p.width > 0 && p.height > 0 && p.values && p.values->size() == values) return {};
  return fail(ec::internal, fmt::format("{}: {} channels of {}x{} do not make its bytes", p.field,
                                        p.channels, p.width, p.height));
}

/// [1, 3 or 1, h, w] in [0, 1]; transparency is dropped, grey becomes three equal channels.
at::Tensor to_tensor(const pipelines::picture& p, bool grey) {
  const auto h = static_cast<std::int64_t>(p.height), w = static_cast<std::int64_t>(p.width);
  const auto c = static_cast<std::int64_t>(p.channels);
  auto* const bytes = const_cast<char*>(p.values->data());
  const auto all = at::from_blob(bytes, {h, w, c}, at::kByte).permute({2, 0, 1}).unsqueeze(0);
  const auto colours = all.narrow(1, 0, std::min<std::int64_t>(c, 3)).to(at::kFloat) / 255;
  if (!grey) return c == 1 ? colours.expand({1, 3, h, w}).contiguous() : colours.contiguous();
  if (c == 1) return colours.contiguous();
  // The luma of ITU-R BT.601, as grey pictures are made from colours.
  return (colours.narrow(1, 0, 1) * 0.299 + colours.narrow(1, 1, 1) * 0.587 +
          colours.narrow(1, 2, 1) * 0.114)
      .contiguous();
}

std::int64_t round_down(double side, std::int64_t step) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(side) / step) * step;
}

class job_reader {
 public:
  job_reader(const pipelines::job_input& input, const image_model_facts& model)
      : input_(input), params_(input.params), model_(model) {}

  result<image_job> read(bool with_pictures) {
    image_ = find_picture(input_, "image");
    mask_ = find_picture(input_, "mask_image");
    for (const auto* p : {image_, mask_}) {
      if (p == nullptr) continue;
      if (auto ok = check_picture(*p); !ok) return fail(ok.error());
    }
    if (model_.kind != diffusion_kind::drawing && image_ == nullptr)
      return fail(wrong("image", "This model needs a picture to start from"));
    if (auto ok = choose_size(); !ok) return fail(ok.error());
    if (auto ok = read_counts(); !ok) return fail(ok.error());
    if (auto ok = read_loras(); !ok) return fail(ok.error());
    read_texts();
    read_numbers();
    heed_distillation();
    heed_guidance();
    if (with_pictures) take_pictures();
    add_notes();
    return std::move(out_);
  }

 private:
  result<void> choose_size() {
    if (model_.kind == diffusion_kind::upscaling) return size_of_upscaling();
    picture_size wanted{integer(params_, "width", 1024), integer(params_, "height", 576)};
    if (image_ != nullptr) wanted = size_of_image();
    auto size = plan_size(wanted, model_.sizes.sizes, model_.scale);
    if (!size) return fail(size.error());
    out_.size = *size;
    return {};
  }

  /// Redrawn pictures keep their size where the model can.
  picture_size size_of_image() {
    if (params_.contains("width") && params_.contains("height"))
      return {integer(params_, "width", 0), integer(params_, "height", 0)};
    const double w = image_->width, h = image_->height;
    double factor = std::min({1.0, max_picture_side / std::max(w, h),
                              std::sqrt(static_cast<double>(max_picture_pixels) / (w * h))});
    factor = std::max(factor, min_picture_side / std::min(w, h));
    const auto step = model_.sizes.sizes.empty() ? model_.scale : 1;
    const auto side = [&](double s) {
      return std::clamp(round_down(s * factor + 1e-6, step), min_picture_side, max_picture_side);
    };
    const picture_size size{side(w), side(h)};
    if (size.width != image_->width || size.height != image_->height)
      out_.notes.push_back(fmt::format("the picture of {}x{} was taken at {}", image_->width,
                                       image_->height, to_string(size)));
    return size;
  }

  result<void> size_of_upscaling() {
    const std::int64_t w = image_->width, h = image_->height;
    if (w * h > max_upscaled_pixels)
      return fail(wrong("image", fmt::format("Expected at most {} pixels, not {}x{}",
                                             max_upscaled_pixels, w, h)));
    const std::int64_t longest = pipelines::max_image_side / model_.scale;
    if (std::max(w, h) > longest)
      return fail(
          wrong("image", fmt::format("Expected sides of at most {} pixels, which become {} times "
                                     "as long, not {}x{}",
                                     longest, model_.scale, w, h)));
    const auto side = [&](std::int64_t s) {
      return round_down(static_cast<double>(s), model_.scale) * model_.scale;
    };
    out_.size = {{side(w), side(h)}, {w * model_.scale, h * model_.scale}};
    return {};
  }

  result<void> read_counts() {
    const auto pictures = integer(params_, "num_images_per_prompt", 1);
    const auto& size = out_.size;
    const auto pixels =
        std::max(size.wanted.width * size.wanted.height, size.drawn.width * size.drawn.height);
    const auto most = std::max<std::int64_t>(1, max_job_pixels / pixels);
    if (pictures < 1 || pictures > most)
      return fail(wrong("num_images_per_prompt", fmt::format("Expected 1 to {} at {} pixels", most,
                                                             to_string(size.wanted))));
    out_.seed = choose_seed(params_);
    auto& r = out_.request;
    r.images_per_prompt = pictures;
    for (std::int64_t i = 0; i < pictures; ++i)
      r.seeds.push_back(static_cast<std::uint64_t>(out_.seed + i));
    r.width = size.drawn.width;
    r.height = size.drawn.height;
    return {};
  }

  /// The model's own and the request's; a strength of 0 leaves one out.
  result<void> read_loras() {
    out_.loras = model_.sizes.loras;
    if (auto ok = add_loras(); !ok) return ok;
    std::erase_if(out_.loras, [](const auto& entry) { return entry.second == 0; });
    return {};
  }

  result<void> add_loras() {
    const auto given = text(params_, "loras");
    if (given.empty()) return {};
    boost::system::error_code bad;
    const auto parsed = json::parse(given, bad);
    const auto expected = fmt::format(
        "Expected a JSON object from name to strength, a finite number, of at most {}", most_loras);
    if (bad || !parsed.is_object() || parsed.get_object().size() > most_loras)
      return fail(wrong("loras", expected));
    for (const auto& [name, strength] : parsed.get_object()) {
      if (!strength.is_number() || !std::isfinite(strength.to_number<double>()))
        return fail(wrong("loras", expected));
      out_.loras[std::string(name)] = strength.to_number<double>();
    }
    return {};
  }

  /// "first|second" is for the two text encoders of SDXL.
  void read_texts() {
    auto& r = out_.request;
    const auto split = [&](std::string_view key, std::vector<std::string>& first,
                           std::vector<std::string>& second) {
      auto whole = text(params_, key);
      auto other = text(params_, std::string(key) + "_2");
      const auto bar = whole.find('|');
      if (model_.two_prompts && other.empty() && bar != whole.npos) {
        other = whole.substr(bar + 1, whole.find('|', bar + 1) - bar - 1);
        whole.resize(bar);
      }
      first = {whole};
      if (model_.two_prompts && !other.empty()) second = {other};
    };
    split("prompt", r.prompts, r.prompts_2);
    split("negative_prompt", r.negative_prompts, r.negative_prompts_2);
    // No negative prompt is something else than an empty one to some models.
    if (r.negative_prompts.front().empty() && r.negative_prompts_2.empty())
      r.negative_prompts.clear();
  }

  void read_numbers() {
    auto& r = out_.request;
    r.steps = static_cast<int>(integer(params_, "num_inference_steps", 50));
    r.guidance_scale =
        number(params_, "guidance_scale", model_.kind == diffusion_kind::upscaling ? 9.0 : 7.5);
    r.guidance_rescale = number(params_, "guidance_rescale", 0);
    r.image_guidance_scale = number(params_, "image_guidance_scale", r.image_guidance_scale);
    r.strength = number(params_, "strength", r.strength);
    r.noise_level = static_cast<int>(integer(params_, "noise_level", r.noise_level));
    r.clip_skip = static_cast<int>(integer(params_, "clip_skip", 0));
    r.eta = number(params_, "eta", 0);
    r.scheduler = text(params_, "scheduler");
  }

  void heed_distillation() {
    const auto id = text(params_, "model_id");
    const auto fixed = distilled_from(id.empty() ? model_.name : id);
    if (fixed.without_guidance) out_.request.guidance_scale = 0;
    if (fixed.steps > 0 && fixed.steps != out_.request.steps) {
      out_.request.steps = fixed.steps;
      out_.notes.push_back(
          fmt::format("drawn in {} steps, as this model was distilled to", fixed.steps));
    }
  }

  // Clients send 7.5 unless told otherwise, which overdoes a model that was trained for less.
  void heed_guidance() {
    const auto most = model_.sizes.max_guidance;
    auto& r = out_.request;
    if (most <= 0 || r.guidance_scale <= most) return;
    out_.notes.push_back(fmt::format("guidance {} lowered to {}, the most this model is made for",
                                     r.guidance_scale, most));
    r.guidance_scale = most;
  }

  void take_pictures() {
    auto& r = out_.request;
    auto size = out_.size.drawn;
    if (model_.kind == diffusion_kind::upscaling)
      size = {size.width / model_.scale, size.height / model_.scale};
    if (image_ != nullptr) r.image = resize_picture(to_tensor(*image_, false), size);
    if (mask_ != nullptr) r.mask = resize_picture(to_tensor(*mask_, true), size);
  }

  void add_notes() {
    if (out_.size.resizes()) out_.notes.push_back(out_.size.note());
  }

  const pipelines::job_input& input_;
  const json::object& params_;
  const image_model_facts& model_;
  const pipelines::picture* image_ = nullptr;
  const pipelines::picture* mask_ = nullptr;
  image_job out_;
};

}  // namespace

result<image_job> read_image_job(const pipelines::job_input& input, const image_model_facts& model,
                                 bool with_pictures) {
  return job_reader(input, model).read(with_pictures);
}

}  // namespace lp::engine
