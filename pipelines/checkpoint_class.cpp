// SPDX-License-Identifier: MIT
#include "pipelines/checkpoint_class.hpp"

#include <array>
#include <cstdint>
#include <fstream>
#include <string_view>

#include <fmt/format.h>

#include "pipelines/weights/tensor_names.hpp"

namespace lp::pipelines {

namespace fs = std::filesystem;

namespace {

constexpr const char* unet_input = "model.diffusion_model.input_blocks.0.0.weight";

struct prefix {
  std::string_view text;
  std::string_view part;
};
// SDXL's second text encoder before the first, whose names begin alike.
constexpr prefix prefixes[] = {
    {"model.diffusion_model.", "unet"},
    {"first_stage_model.", "vae"},
    {"conditioner.embedders.1.", "text_encoder_2"},
    {"conditioner.embedders.0.", "text_encoder"},
    {"cond_stage_model.", "text_encoder"},
};

bool has_any(const std::map<std::string, named_tensor>& names, const std::string& prefix) {
  const auto first = names.lower_bound(prefix);
  return first != names.end() && first->first.starts_with(prefix);
}

bool has_unet(const std::map<std::string, named_tensor>& names) {
  return has_any(names, "model.diffusion_model.");
}

bool has_second_text(const std::map<std::string, named_tensor>& names) {
  return has_any(names, "conditioner.embedders.1.");
}

}  // namespace

bool whole_checkpoint(const fs::path& file) {
  if (file.extension() == ".ckpt") return true;
  if (file.extension() == ".pth" || file.extension() == ".pt") {
    const auto names = read_tensor_names(file);
    return names && has_unet(*names);
  }
  if (file.extension() != ".safetensors") return false;
  constexpr std::uint64_t longest_header = 32 << 20;  // SDXL's has 300 KiB
  std::ifstream in(file, std::ios::binary);
  std::array<unsigned char, 8> length{};
  if (!in.read(reinterpret_cast<char*>(length.data()), length.size())) return false;
  std::uint64_t size = 0;
  for (std::size_t i = length.size(); i-- > 0;) size = size << 8 | length[i];
  if (size > longest_header) return false;
  std::string header(size, '\0');
  if (!in.read(header.data(), static_cast<std::streamsize>(size))) return false;
  return header.find("\"model.diffusion_model.") != header.npos;
}

result<std::string> checkpoint_class(const fs::path& file) {
  const auto names = read_tensor_names(file);
  if (!names) return fail(names.error());
  const auto input = names->find(unet_input);
  const auto wrong = [&](std::string_view why) {
    return fail(ec::bad_file, fmt::format("{}: {}", file.string(), why));
  };
  if (input == names->end() || input->second.shape.size() != 4) {
    return wrong(
        fmt::format("no checkpoint of Stable Diffusion: expected a tensor {} with four "
                    "dimensions",
                    unet_input));
  }
  const char* const xl = has_second_text(*names) ? "XL" : "";
  switch (input->second.shape[1]) {
    case 4:
      return fmt::format("StableDiffusion{}Pipeline", xl);
    case 9:
      return fmt::format("StableDiffusion{}InpaintPipeline", xl);
    case 8:
      if (*xl == '\0') return "StableDiffusionInstructPix2PixPipeline";
      [[fallthrough]];
    default:
      return wrong(fmt::format("{}: {} input channels, which no pipeline here has", unet_input,
                               input->second.shape[1]));
  }
}

result<std::vector<checkpoint_part>> checkpoint_parts(const fs::path& file) {
  const auto names = read_tensor_names(file);
  if (!names) return fail(names.error());
  std::map<std::string_view, weights_summary> by_part;
  for (const auto& [name, tensor] : *names) {
    for (const auto& [text, part] : prefixes) {
      if (name.starts_with(text)) {
        by_part[part].add(tensor);
        break;
      }
    }
  }
  std::vector<checkpoint_part> out;
  for (auto& [part, weights] : by_part) out.push_back({std::string(part), std::move(weights)});
  return out;
}

}  // namespace lp::pipelines
