// SPDX-License-Identifier: MIT
#include "pipelines/engine/network_loader.hpp"

#include <algorithm>
#include <future>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "pipelines/engine/shared_networks.hpp"
#include "pipelines/weights/lost_files.hpp"

namespace lp::engine {

namespace {

template <class Network>
struct held_network {
  std::shared_ptr<Network> network;
  std::uint64_t bytes = 0;
  std::shared_future<void> packing{};
  std::vector<std::string> left_out{};  ///< tensors of its files that it does not have
};

/// The part's own name, which is what a person knows: "unet".
std::string part_name(const component& from) {
  return from.what.filename().string();
}

/// Of what the file's header does not tell, the message names the file.
error told_of(const component& from, error e) {
  if (e.code != ec::bad_file) e.message = fmt::format("{}: {}", from.what.string(), e.message);
  return e;
}

/// Fills the network's weights in and puts them in order, on a thread of its own. Where memory does
/// not suffice for their order they stay as they are, which computes the same.
std::shared_future<void> pack_meanwhile(std::shared_ptr<unet> network, put_off_copies copies) {
  return std::async(std::launch::async,
                    [network = std::move(network), copies = std::move(copies),
                     threads = at::get_num_threads()]() mutable {
                      at::set_num_threads(threads);
                      const c10::InferenceMode no_gradients;
                      for (auto& [to, from] : copies) {
                        to.copy_(from);
                        from.reset();  // and with the last one the file
                      }
                      copies = {};
                      try {
                        network->pack();
                      } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
                      }
                    })
      .share();
}

}  // namespace

std::string network_loader::setting(at::ScalarType dtype) const {
  // What was loaded before a file went away may have lost its weights.
  return fmt::format("{} {} {}", at::toString(dtype), options_.device.str(),
                     pipelines::lost_files());
}

template <class Network>
result<void> network_loader::add(part<Network>& into, component from,
                                 const typename part<Network>::config_type& config,
                                 at::ScalarType dtype) const {
  using held = held_network<const Network>;
  using shared = shared_networks<held, typename part<Network>::config_type>;
  auto bytes = std::make_shared<std::uint64_t>(0);
  auto left_out = std::make_shared<std::vector<std::string>>();
  const auto name = part_name(from);
  auto load = [wanted = typename shared::wanted{setting(dtype), config, std::move(from)}, dtype,
               device = options_.device, bytes,
               left_out]() -> result<std::shared_ptr<const Network>> {
    const auto there = shared::instance().get(
        wanted, [&](stored_tensors tensors) -> result<std::shared_ptr<held>> {
          const auto source = checkpoint::of(std::move(tensors), wanted.from.what, dtype, device);
          auto out = std::make_shared<held>();
          auto made = build_network<Network>(wanted.config, *source, &out->bytes);
          if (!made) return fail(told_of(wanted.from, made.error()));
          out->network = std::move(*made);
          out->left_out = source->unexpected();
          return out;
        });
    if (!there) return fail(there.error());
    *bytes = (*there)->bytes;
    *left_out = (*there)->left_out;
    return std::shared_ptr<const Network>(*there, (*there)->network.get());
  };
  auto made = options_.low_memory ? part<Network>::on_demand(std::move(load)) : [&] {
    auto network = load();
    return network ? result<part<Network>>(std::move(*network)) : fail(network.error());
  }();
  if (!made) return fail(made.error());
  into = std::move(*made);
  if (!left_out->empty()) parts_.notes.push_back(left_out_note(name, *left_out));
  if (options_.low_memory) {
    parts_.largest_absent = std::max(parts_.largest_absent, *bytes);
  } else {
    parts_.bytes += *bytes;
  }
  return {};
}

template result<void> network_loader::add(part<clip_text>&, component, const clip_text_config&,
                                          at::ScalarType) const;
template result<void> network_loader::add(part<autoencoder_kl>&, component,
                                          const autoencoder_kl_config&, at::ScalarType) const;
template result<void> network_loader::add(part<autoencoder_tiny>&, component,
                                          const autoencoder_tiny_config&, at::ScalarType) const;

result<void> network_loader::add_unet(component from, const unet_config& config,
                                      at::ScalarType dtype) const {
  using held = held_network<unet>;
  using shared = shared_networks<held, unet_config>;
  const auto there = shared::instance().get(
      {setting(dtype), config, from}, [&](stored_tensors tensors) -> result<std::shared_ptr<held>> {
        const auto source = checkpoint::of(std::move(tensors), from.what, dtype, options_.device);
        source->put_conversions_off();
        auto out = std::make_shared<held>();
        auto made = build_network<unet>(config, *source, &out->bytes, false);
        if (!made) return fail(told_of(from, made.error()));
        out->network = std::move(*made);
        out->left_out = source->unexpected();
        out->packing = pack_meanwhile(out->network, source->take_put_off());
        return out;
      });
  if (!there) return fail(there.error());
  parts_.bytes += (*there)->bytes;
  if (!(*there)->left_out.empty())
    parts_.notes.push_back(left_out_note(part_name(from), (*there)->left_out));
  parts_.packing = (*there)->packing;
  parts_.unet = std::shared_ptr<const unet>(*there, (*there)->network.get());
  return {};
}

}  // namespace lp::engine
