// SPDX-License-Identifier: MIT
#include "pipelines/engine/checkpoint.hpp"

#include <algorithm>
#include <string_view>
#include <system_error>

#include <ATen/Functions.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "pipelines/engine/autoencoder_kl.hpp"
#include "pipelines/engine/autoencoder_tiny.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/clip_vision.hpp"
#include "pipelines/engine/dit.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/pickled_tensors.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/unet.hpp"
#include "pipelines/weights/foreign_file.hpp"
#include "pipelines/weights/part_weights.hpp"
#include "runtime/base/log.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;

/// Buffers that old transformers saved: nothing is lost without them.
bool is_stray(std::string_view name) {
  return name == "position_ids" || name.ends_with(".position_ids") || name == "logit_scale";
}

void append(std::string& text, std::string_view title, const std::vector<std::string>& entries) {
  if (entries.empty()) return;
  text += fmt::format("\n{} {} tensor(s): {}", entries.size(), title, fmt::join(entries, ", "));
}

}  // namespace

checkpoint::checkpoint(fs::path folder, at::ScalarType dtype, at::Device device)
    : folder_(std::move(folder)), dtype_(dtype), device_(device) {}

result<stored_tensors> open_tensors(const fs::path& file, bool ahead) {
  if (file.extension() != ".safetensors") return open_pickle(file, ahead);
  auto opened = safetensors_file::open(file);
  if (!opened) return fail(opened.error());
  if (ahead) (*opened)->read_ahead();
  stored_tensors out;
  for (const auto& [name, info] : (*opened)->tensors())
    out[name] = {info.dtype, info.shape, [from = *opened, name] { return from->load(name); }};
  return out;
}

namespace {

result<stored_tensors> open_shards(const fs::path& index, bool ahead) {
  const auto shards = pipelines::read_shards(index);
  if (!shards) return fail(shards.error());
  const auto folder = index.parent_path();
  stored_tensors out;
  for (const auto& [file, names] : *shards) {
    auto opened = open_tensors(folder / file, ahead);
    if (!opened) return fail(opened.error());
    for (const auto& name : names) {
      if (!opened->contains(name))
        return fail(ec::bad_file, fmt::format("{}: {} is not in {}", index.string(), name, file));
    }
    for (auto& [name, tensor] : *opened) {
      if (!out.emplace(name, std::move(tensor)).second)
        return fail(ec::bad_file,
                    fmt::format("{}: tensor {} lies in two shards", folder.string(), name));
    }
  }
  return out;
}

}  // namespace

result<stored_tensors> open_component(const fs::path& folder, bool ahead) {
  std::error_code ignored;
  if (fs::is_regular_file(folder, ignored)) return open_tensors(folder, ahead);
  const auto found = pipelines::find_weights(folder);
  if (!found) {
    const auto part = pipelines::unfinished_in(folder);
    const auto note =
        part.empty() ? part : fmt::format("; {} is a download that was not finished", part);
    return fail(ec::bad_file,
                fmt::format("{}: no diffusion_pytorch_model.safetensors, no model.safetensors, no "
                            "variant, index.json or .bin of them, and no other single file of "
                            "weights{}",
                            folder.string(), note));
  }
  if (!found->index.empty()) return open_shards(found->index, ahead);
  return open_tensors(found->file, ahead);
}

result<std::unique_ptr<checkpoint>> checkpoint::open(const fs::path& folder, at::ScalarType dtype,
                                                     at::Device device) {
  auto tensors = open_component(folder);
  if (!tensors) return fail(tensors.error());
  return of(std::move(*tensors), folder, dtype, device);
}

std::unique_ptr<checkpoint> checkpoint::of(stored_tensors tensors, fs::path what,
                                           at::ScalarType dtype, at::Device device) {
  std::unique_ptr<checkpoint> c(new checkpoint(std::move(what), dtype, device));
  c->where_ = std::move(tensors);
  return c;
}

bool checkpoint::has(const std::string& name) const {
  return where_.contains(name);
}

at::Tensor checkpoint::placeholder(at::IntArrayRef shape) const {
  return at::zeros({1}, at::TensorOptions(dtype_).device(device_)).expand(shape);
}

at::Tensor checkpoint::take(const std::string& name, at::IntArrayRef shape) {
  taken_.insert(name);
  const auto found = where_.find(name);
  if (found == where_.end()) {
    missing_.push_back(name);
    return placeholder(shape);
  }
  const auto& info = found->second;
  if (at::IntArrayRef(info.shape) != shape) {
    wrong_.push_back(fmt::format("{} [{}] instead of [{}]", name, fmt::join(info.shape, ", "),
                                 fmt::join(shape, ", ")));
    return placeholder(shape);
  }
  auto loaded = info.load();
  if (!loaded || !at::isFloatingType(loaded->scalar_type())) {
    wrong_.push_back(loaded ? fmt::format("{} has dtype {}", name, info.dtype)
                            : loaded.error().message);
    return placeholder(shape);
  }
  const bool later = later_ && device_.is_cpu() && loaded->scalar_type() != dtype_;
  // Memory that nothing was written to is none of the process's yet. A GPU converts what it gets as
  // it is in the file.
  auto tensor = later ? at::empty(shape, dtype_) : loaded->to(device_).to(dtype_);
  if (later) put_off_.emplace_back(tensor, std::move(*loaded));
  bytes_ += tensor.nbytes();
  return tensor;
}

std::vector<std::string> checkpoint::unexpected() const {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : where_)
    if (!taken_.contains(name) && !is_stray(name)) out.push_back(name);
  return out;
}

std::string left_out_note(std::string_view part, const std::vector<std::string>& names) {
  constexpr std::size_t most = 3;
  const auto shown = std::min(names.size(), most);
  return fmt::format(
      "{}: {} tensor{} left out, which this kind of network does not have: {}{}", part,
      names.size(), names.size() == 1 ? "" : "s",
      fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
      shown < names.size() ? ", ..." : "");
}

result<void> checkpoint::finish() const {
  if (missing_.empty() && wrong_.empty()) return {};
  auto message = fmt::format("{}: the weights do not fit config.json", folder_.string());
  append(message, "missing", missing_);
  append(message, "wrong", wrong_);
  append(message, "unexpected", unexpected());
  return fail(ec::bad_file, std::move(message));
}

template <class Net, class Config>
result<std::unique_ptr<Net>> build_network(const Config& config, checkpoint& source,
                                           std::uint64_t* bytes, bool packed) {
  try {
    auto net = std::make_unique<Net>(config, scope(source));
    if (auto ok = source.finish(); !ok) return fail(ok.error());
    if (const auto extra = source.unexpected(); !extra.empty())
      log::warn("models", "{}", left_out_note(source.what().string(), extra));
    if constexpr (requires { net->pack(); }) {
      if (packed) net->pack();
    }
    if (bytes != nullptr) *bytes = source.bytes();
    return net;
  } catch (const c10::Error& e) {
    return fail(ec::load_failed, e.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return fail(ec::out_of_memory, "not enough memory for the weights");
  }
}

template result<std::unique_ptr<unet>> build_network(const unet_config&, checkpoint&,
                                                     std::uint64_t*, bool);
template result<std::unique_ptr<autoencoder_kl>> build_network(const autoencoder_kl_config&,
                                                               checkpoint&, std::uint64_t*, bool);
template result<std::unique_ptr<autoencoder_tiny>> build_network(const autoencoder_tiny_config&,
                                                                 checkpoint&, std::uint64_t*, bool);
template result<std::unique_ptr<dit>> build_network(const dit_config&, checkpoint&, std::uint64_t*,
                                                    bool);
template result<std::unique_ptr<clip_text>> build_network(const clip_text_config&, checkpoint&,
                                                          std::uint64_t*, bool);
template result<std::unique_ptr<clip_vision>> build_network(const clip_vision_config&, checkpoint&,
                                                            std::uint64_t*, bool);

namespace {

/// config.json, then the weights, then the network.
template <class Net, class Parse>
result<std::unique_ptr<Net>> load(const fs::path& folder, at::ScalarType dtype, at::Device device,
                                  std::uint64_t* bytes, Parse parse, bool packed = true) {
  const auto json = read_json_file(folder / "config.json");
  if (!json) return fail(json.error());
  const auto config = parse(*json);
  if (!config)
    return fail(config.error().code,
                fmt::format("{}: {}", folder.string(), config.error().message));
  auto source = checkpoint::open(folder, dtype, device);
  if (!source) return fail(source.error());
  auto net = build_network<Net>(*config, **source, bytes, packed);
  if (net || net.error().code == ec::bad_file) return net;
  return fail(net.error().code, fmt::format("{}: {}", folder.string(), net.error().message));
}

}  // namespace

result<std::unique_ptr<unet>> load_unet(const fs::path& folder, at::ScalarType dtype,
                                        at::Device device, std::uint64_t* bytes, bool packed) {
  return load<unet>(folder, dtype, device, bytes, parse_unet_config, packed);
}

result<std::unique_ptr<autoencoder_kl>> load_autoencoder_kl(const fs::path& folder,
                                                            at::ScalarType dtype, at::Device device,
                                                            std::uint64_t* bytes) {
  return load<autoencoder_kl>(folder, dtype, device, bytes, parse_autoencoder_kl_config);
}

result<std::unique_ptr<autoencoder_tiny>> load_autoencoder_tiny(const fs::path& folder,
                                                                at::ScalarType dtype,
                                                                at::Device device,
                                                                std::uint64_t* bytes) {
  return load<autoencoder_tiny>(folder, dtype, device, bytes, parse_autoencoder_tiny_config);
}

result<std::unique_ptr<clip_text>> load_clip_text(const fs::path& folder, at::ScalarType dtype,
                                                  at::Device device, std::uint64_t* bytes) {
  return load<clip_text>(folder, dtype, device, bytes, parse_clip_text_config);
}

result<std::unique_ptr<clip_vision>> load_clip_vision(const fs::path& folder, at::ScalarType dtype,
                                                      at::Device device, std::uint64_t* bytes) {
  return load<clip_vision>(folder, dtype, device, bytes, parse_clip_vision_config);
}

}  // namespace lp::engine
