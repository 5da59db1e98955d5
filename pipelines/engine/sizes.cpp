// SPDX-License-Identifier: MIT
#include "pipelines/engine/sizes.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "pipelines/engine/config_reader.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/weights/checkpoint_prediction.hpp"

namespace lp::engine {

namespace {

namespace json = boost::json;

bool read_size(const json::value& value, std::int64_t scale, picture_size& out) {
  if (!value.is_array() || value.get_array().size() != 2) return false;
  const auto side = [&](std::size_t i, std::int64_t& into) {
    const auto& number = value.get_array()[i];
    if (!number.is_int64()) return false;
    into = number.get_int64();
    return into >= scale && into <= max_picture_side && into % scale == 0;
  };
  return side(0, out.width) && side(1, out.height);
}

/// How far apart the aspect ratios are, in steps coarse enough that equal ones compare equal.
double aspect_distance(const picture_size& a, const picture_size& b) {
  const double ratio =
      static_cast<double>(a.width * b.height) / static_cast<double>(a.height * b.width);
  return std::round(std::abs(std::log(ratio)) * 1e6);
}

double area_distance(const picture_size& a, const picture_size& b) {
  return std::abs(std::log(static_cast<double>(a.width * a.height)) -
                  std::log(static_cast<double>(b.width * b.height)));
}

error wrong_side(const char* name, std::int64_t side, const std::string& expected) {
  const auto text = fmt::format("{}: expected {}, not {}", name, expected, side);
  return {ec::invalid_parameters, text, {{{"body", name}, "Expected " + expected, "value_error"}}};
}

}  // namespace

std::string to_string(const picture_size& size) {
  return fmt::format("{}x{}", size.width, size.height);
}

result<model_facts> read_model_facts(const std::filesystem::path& folder, std::int64_t scale) {
  const auto file = pipelines::facts_file(folder);
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return model_facts{};
  auto object = read_json_file(file);
  if (!object) return fail(object.error());
  config_reader in(*object, file.string());
  model_facts out;
  out.default_steps = static_cast<int>(in.integer("default_steps", 0, 1, 1000));
  out.max_guidance = in.number("max_guidance", 0);
  out.description = in.text("description", "");
  out.licence = in.text("licence", "");
  if (!in.is_unset("sizes")) {
    const auto& list = object->at("sizes");
    bool good = list.is_array() && !list.get_array().empty();
    if (good) {
      out.sizes.resize(list.get_array().size());
      for (std::size_t i = 0; i < out.sizes.size(); ++i)
        good = read_size(list.get_array()[i], scale, out.sizes[i]) && good;
    }
    if (!good) {
      in.reject("sizes", fmt::format("pairs [width, height] of multiples of {} up to {}", scale,
                                     max_picture_side));
    }
  }
  if (!in.is_unset("loras")) {
    const auto* loras = object->at("loras").if_object();
    bool good = loras != nullptr;
    for (std::size_t i = 0; good && i < loras->size(); ++i) {
      const auto& [name, strength] = *(loras->begin() + i);
      good = strength.is_number() && std::isfinite(strength.to_number<double>());
      if (good) out.loras[name] = strength.to_number<double>();
    }
    if (!good) in.reject("loras", "an object from a file's name to its strength, a finite number");
  }
  if (auto ok = in.check(); !ok) return fail(ok.error());
  return out;
}

std::string size_plan::note() const {
  if (!resizes()) return {};
  return fmt::format("drawn at {} and resized to {}", to_string(drawn), to_string(wanted));
}

result<size_plan> plan_size(picture_size wanted, const std::vector<picture_size>& trained,
                            std::int64_t scale) {
  const bool any = !trained.empty();
  for (const auto& [name, side] :
       {std::pair{"height", wanted.height}, std::pair{"width", wanted.width}}) {
    if (side >= min_picture_side && side <= max_picture_side && (any || side % scale == 0))
      continue;
    const auto step = any ? std::string() : fmt::format("a multiple of {} ", scale);
    return fail(wrong_side(
        name, side, fmt::format("{}from {} to {}", step, min_picture_side, max_picture_side)));
  }
  if (wanted.width * wanted.height > max_picture_pixels) {
    return fail(wrong_side(
        "height", wanted.height,
        fmt::format("at most {} at width {} ({} pixels in all)", max_picture_pixels / wanted.width,
                    wanted.width, max_picture_pixels)));
  }
  if (!any) return size_plan{wanted, wanted};
  const auto nearest =
      *std::min_element(trained.begin(), trained.end(), [&](const auto& a, const auto& b) {
        return std::pair{aspect_distance(a, wanted), area_distance(a, wanted)} <
               std::pair{aspect_distance(b, wanted), area_distance(b, wanted)};
      });
  return size_plan{nearest, wanted};
}

at::Tensor resize_picture(const at::Tensor& picture, const picture_size& size) {
  if (picture.size(2) == size.height && picture.size(3) == size.width) return picture;
  return at::_upsample_bicubic2d_aa(picture.contiguous(), {size.height, size.width}, false,
                                    c10::nullopt, c10::nullopt)
      .clamp(0, 1);
}

}  // namespace lp::engine
