// SPDX-License-Identifier: MIT
#include "pipelines/engine/dit.hpp"

#include <cmath>

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

namespace lp::engine {

namespace {

/// Any of these beyond it is no network that was trained for this.
constexpr std::int64_t most = 1 << 14;

class shape_reader {
 public:
  explicit shape_reader(const stored_tensors& tensors) : tensors_(tensors) {}

  std::int64_t operator()(const std::string& name, std::size_t dims, std::size_t dim) {
    const auto found = tensors_.find(name);
    const bool good = found != tensors_.end() && found->second.shape.size() == dims &&
                      found->second.shape[dim] > 0 && found->second.shape[dim] <= most;
    if (good) return found->second.shape[dim];
    if (wrong_.empty()) wrong_ = fmt::format("{}: expected a tensor of {} dimensions", name, dims);
    return 1;
  }
  const std::string& wrong() const { return wrong_; }

 private:
  const stored_tensors& tensors_;
  std::string wrong_;
};

}  // namespace

result<dit_config> read_dit_config(const stored_tensors& tensors) {
  shape_reader size(tensors);
  dit_config c;
  c.classes = size("label_emb.weight", 2, 0);
  c.width = size("label_emb.weight", 2, 1);
  c.channels = size("conv.weight", 4, 1);
  c.patch = size("conv.weight", 4, 2);
  const auto tokens = size("patch_pos_emb", 3, 1);
  c.side = std::llround(std::sqrt(static_cast<double>(tokens)));
  c.inner = size("dits.0.wq.weight", 2, 0);
  c.hidden = size("dits.0.ff.0.weight", 2, 0);
  while (tensors.contains(fmt::format("dits.{}.wq.weight", c.blocks)) && c.blocks < most)
    ++c.blocks;
  if (!size.wrong().empty()) return fail(ec::bad_file, size.wrong());
  if (c.side * c.side != tokens || c.inner % c.width != 0 || c.width % 2 != 0)
    return fail(ec::bad_file,
                "patch_pos_emb, dits.0.wq.weight: expected square pictures and heads "
                "as wide as a token");
  return c;
}

dit::modulation::modulation(const scope& at, std::int64_t width, std::string_view number)
    : scale(at / fmt::format("gamma{}", number), width, width),
      shift(at / fmt::format("beta{}", number), width, width),
      gate(at / fmt::format("alpha{}", number), width, width) {}

at::Tensor dit::modulation::modulate(const at::Tensor& x, const at::Tensor& condition) const {
  return x * (scale(condition).unsqueeze(1) + 1) + shift(condition).unsqueeze(1);
}

dit::block::block(const dit_config& c, const scope& at)
    : norm1(at / "ln1", c.width),
      norm2(at / "ln2", c.width),
      first(at, c.width, "1"),
      second(at, c.width, "2"),
      q(at / "wq", c.width, c.inner),
      k(at / "wk", c.width, c.inner),
      v(at / "wv", c.width, c.inner),
      out(at / "lv", c.inner, c.width),
      up(at / "ff" / "0", c.width, c.hidden),
      down(at / "ff" / "2", c.hidden, c.width),
      heads(c.heads()) {}

at::Tensor dit::block::attend(const at::Tensor& x) const {
  const auto n = x.size(0), tokens = x.size(1);
  const auto split = [&](const at::Tensor& t) {
    return t.view({n, tokens, heads, -1}).transpose(1, 2).reshape({n * heads, tokens, -1});
  };
  // The networks in use divide by the root of the number of tokens, not of a head's width.
  const auto scores =
      at::bmm(split(q(x)) / std::sqrt(static_cast<double>(tokens)), split(k(x)).transpose(1, 2));
  const auto mixed = at::bmm(at::softmax(scores, -1), split(v(x)));
  return out(mixed.view({n, heads, tokens, -1}).transpose(1, 2).reshape({n, tokens, -1}));
}

at::Tensor dit::block::operator()(const at::Tensor& x, const at::Tensor& condition) const {
  const auto y =
      x + attend(first.modulate(norm1(x), condition)) * first.gate(condition).unsqueeze(1);
  const auto z = down(at::relu(up(second.modulate(norm2(y), condition))));
  return y + z * second.gate(condition).unsqueeze(1);
}

dit::dit(const dit_config& c, const scope& at)
    : config_(c),
      positions_(at.take("patch_pos_emb", {1, c.side * c.side, c.width})),
      frequencies_((at / "time_emb" / "0").take("half_emb", {c.width / 2})),
      patches_(at / "conv", c.channels, c.channels * c.patch * c.patch,
               {.kernel = c.patch, .stride = c.patch, .padding = 0}),
      embed_(at / "patch_emb", c.channels * c.patch * c.patch, c.width),
      time1_(at / "time_emb" / "1", c.width, c.width),
      time2_(at / "time_emb" / "3", c.width, c.width),
      labels_(at / "label_emb", c.classes, c.width),
      norm_(at / "ln", c.width),
      out_(at / "linear", c.width, c.channels * c.patch * c.patch) {
  for (std::int64_t i = 0; i < c.blocks; ++i)
    blocks_.emplace_back(c, at / "dits" / static_cast<std::size_t>(i));
}

at::Tensor dit::condition(double time, const at::Tensor& labels) const {
  const auto angles = (frequencies_ * time).unsqueeze(0);
  const auto waves = at::cat({angles.sin(), angles.cos()}, 1);
  return labels_(labels) + time2_(at::relu(time1_(waves)));
}

at::Tensor dit::operator()(const at::Tensor& samples, double time, const at::Tensor& labels) const {
  const auto& c = config_;
  TORCH_CHECK(samples.dim() == 4 && samples.size(1) == c.channels &&
                  samples.size(2) == c.picture_side() && samples.size(3) == c.picture_side(),
              "dit: samples must be [N, ", c.channels, ", ", c.picture_side(), ", ",
              c.picture_side(), "], got ", samples.sizes());
  const auto n = samples.size(0);
  const auto about = condition(time, labels);
  auto x = embed_(patches_(samples).flatten(2).transpose(1, 2)) + positions_;
  for (const auto& b : blocks_) x = b(x, about);
  x = out_(norm_(x)).view({n, c.side, c.side, c.channels, c.patch, c.patch});
  return x.permute({0, 3, 1, 4, 2, 5}).reshape(samples.sizes());
}

result<std::unique_ptr<dit>> load_dit(const std::filesystem::path& file, at::Device device,
                                      std::uint64_t* bytes) {
  auto tensors = open_component(file);
  if (!tensors) return fail(tensors.error());
  const auto config = read_dit_config(*tensors);
  if (!config)
    return fail(ec::bad_file, fmt::format("{}: {}", file.string(), config.error().message));
  const auto source = checkpoint::of(std::move(*tensors), file, at::kFloat, device);
  return build_network<dit>(*config, *source, bytes);
}

at::Tensor clipped_ddim_step(const at::Tensor& sample, const at::Tensor& noise, double alpha,
                             double next) {
  const auto clean = ((sample - noise * std::sqrt(1 - alpha)) / std::sqrt(alpha)).clamp(-1, 1);
  const auto rest = (sample - clean * std::sqrt(alpha)) / std::sqrt(1 - alpha);
  return clean * std::sqrt(next) + rest * std::sqrt(1 - next);
}

}  // namespace lp::engine
