// SPDX-License-Identifier: MIT
#include "pipelines/engine/clip_image_processor.hpp"

#include <algorithm>
#include <string>

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "pipelines/engine/config_reader.hpp"

namespace lp::engine {

namespace {

namespace json = boost::json;

constexpr std::int64_t max_side = 4096;

const json::object* object_in(const json::object& config, std::string_view key) {
  const auto* value = config.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

/// A member of the object `key`, named as "size.width" where it is wrong.
std::int64_t side_in(const json::object& sides, config_reader& in, std::string_view key,
                     std::string_view side) {
  const auto* value = sides.if_contains(side);
  const bool right = value != nullptr && value->is_int64() && value->get_int64() >= 1 &&
                     value->get_int64() <= max_side;
  if (right) return value->get_int64();
  in.reject(fmt::format("{}.{}", key, side), fmt::format("an integer from 1 to {}", max_side));
  return 1;
}

void read_size(const json::object& config, config_reader& in, clip_image_config& c) {
  const auto* sides = object_in(config, "size");
  if (sides == nullptr) {
    c.shortest_edge = in.integer("size", c.shortest_edge, 1, max_side);
  } else if (sides->contains("shortest_edge")) {
    c.shortest_edge = side_in(*sides, in, "size", "shortest_edge");
  } else {
    c.shortest_edge = 0;
    c.width = side_in(*sides, in, "size", "width");
    c.height = side_in(*sides, in, "size", "height");
  }
}

void read_crop(const json::object& config, config_reader& in, clip_image_config& c) {
  if (const auto* sides = object_in(config, "crop_size")) {
    c.crop_width = side_in(*sides, in, "crop_size", "width");
    c.crop_height = side_in(*sides, in, "crop_size", "height");
  } else {
    c.crop_width = c.crop_height = in.integer("crop_size", c.crop_width, 1, max_side);
  }
}

void read_channels(const json::object& config, config_reader& in, std::string_view key,
                   std::array<double, 3>& out) {
  const auto* value = config.if_contains(key);
  if (value == nullptr || value->is_null()) return;
  const auto* list = value->if_array();
  bool right = list != nullptr && list->size() == out.size();
  for (std::size_t i = 0; right && i < out.size(); ++i) {
    right = (*list)[i].is_number();
    if (right) out[i] = (*list)[i].to_number<double>();
  }
  if (!right) in.reject(key, "a list of three numbers");
}

struct extent {
  std::int64_t width, height;
};

extent resized(const pipelines::rgb_image& p, const clip_image_config& c) {
  if (!c.resizes) return {p.width, p.height};
  if (c.shortest_edge == 0) return {c.width, c.height};
  const std::int64_t shorter = std::min(p.width, p.height);
  const std::int64_t longer = std::max(p.width, p.height);
  // In floating point as the original, whose last bit may decide.
  const auto other = static_cast<std::int64_t>(static_cast<double>(c.shortest_edge * longer) /
                                               static_cast<double>(shorter));
  return p.width <= p.height ? extent{c.shortest_edge, other} : extent{other, c.shortest_edge};
}

at::Tensor to_tensor(const pipelines::rgb_image& p, extent at, extent size,
                     const clip_image_config& c) {
  auto out = at::empty({1, 3, size.height, size.width}, at::kFloat);
  auto* to = out.data_ptr<float>();
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::int64_t y = 0; y < size.height; ++y) {
      const auto row = (at.height + y) * p.width + at.width;
      for (std::int64_t x = 0; x < size.width; ++x) {
        const auto byte = p.pixels[static_cast<std::size_t>(row + x) * 3 + channel];
        double value = static_cast<unsigned char>(byte);
        if (c.rescales) value *= c.rescale_factor;
        if (c.normalizes) value = (value - c.mean[channel]) / c.deviation[channel];
        *to++ = static_cast<float>(value);
      }
    }
  }
  return out;
}

}  // namespace

result<clip_image_config> parse_clip_image_config(const json::object& config) {
  config_reader in(config, "preprocessor_config.json");
  clip_image_config c;
  c.resizes = in.boolean("do_resize", true);
  read_size(config, in, c);
  const auto filter = in.integer("resample", 3, 0, 3);
  c.filter = static_cast<pipelines::resampling>(filter);
  c.crops = in.boolean("do_center_crop", true);
  read_crop(config, in, c);
  c.rescales = in.boolean("do_rescale", true);
  c.rescale_factor = in.number("rescale_factor", c.rescale_factor);
  c.normalizes = in.boolean("do_normalize", true);
  read_channels(config, in, "image_mean", c.mean);
  read_channels(config, in, "image_std", c.deviation);
  if (std::find(c.deviation.begin(), c.deviation.end(), 0.0) != c.deviation.end())
    in.reject("image_std", "other than 0");
  if (auto ok = in.check(); !ok) return fail(ok.error());
  return c;
}

result<at::Tensor> process_clip_image(const pipelines::rgb_image& picture,
                                      const clip_image_config& c) {
  if (auto ok = pipelines::check_size(picture.width, picture.height); !ok) return fail(ok.error());
  const auto size = resized(picture, c);
  const auto wanted = c.crops ? extent{c.crop_width, c.crop_height} : size;
  if (wanted.width > size.width || wanted.height > size.height)
    return fail(ec::invalid_parameters,
                fmt::format("a picture of {}x{} pixels is too small to crop to {}x{}", size.width,
                            size.height, wanted.width, wanted.height));
  // A very long picture must not become a very large one.
  if (auto ok = pipelines::check_size(static_cast<std::uint64_t>(size.width),
                                      static_cast<std::uint64_t>(size.height));
      !ok)
    return fail(ok.error());
  const auto scaled =
      pipelines::resample(picture, static_cast<std::uint32_t>(size.width),
                          static_cast<std::uint32_t>(size.height), c.filter, c.places);
  if (!scaled) return fail(scaled.error());
  return to_tensor(*scaled, {(size.width - wanted.width) / 2, (size.height - wanted.height) / 2},
                   wanted, c);
}

}  // namespace lp::engine
