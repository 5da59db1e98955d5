// SPDX-License-Identifier: MIT
// Every layout of additions against weights that were changed by hand, and how strong they are by
// what PEFT notes.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <boost/json/object.hpp>

#include "pipelines/engine/checkpoint.hpp"
#include "pipelines/engine/clip_text_encoder.hpp"
#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/lora.hpp"
#include "pipelines/engine/random_parameters.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/unet.hpp"
#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using named = std::vector<std::pair<std::string, at::Tensor>>;
using notes = std::map<std::string, std::string>;

const std::string to_q = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
const std::string conv1 = "down_blocks.0.resnets.0.conv1";

std::string joined(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

class lora_layouts : public ::testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    base.visit({[&](nn::linear& l) { weights[l.name] = l.weight; },
                [&](nn::conv2d& l) { weights[l.name] = l.weight; }});
    ASSERT_TRUE(weights.contains(to_q) && weights.contains(conv1));
    q = weights[to_q];
    c = weights[conv1];
    c_out = c.size(0), c_in = c.size(1);
    width = q.size(0);
  }

  static result<std::shared_ptr<const lora_file>> opened(const named& tensors,
                                                         const notes& metadata = {}) {
    const auto folder = fs::path(::testing::TempDir()) / "lp_lora_layouts";
    fs::create_directories(folder);
    const auto path = folder / "file.safetensors";
    EXPECT_TRUE(save_safetensors(path, tensors, metadata));
    return lora_file::open(path);
  }

  static at::Tensor call(const unet& net) {
    const c10::InferenceMode no_gradients;
    unet_input in;
    in.sample = at::linspace(-1, 1, 4 * 8 * 8).reshape({1, 4, 8, 8});
    in.timestep = at::full({1}, 500.0);
    in.encoder_hidden_states =
        at::linspace(-1, 1, 7 * net.config().levels[0].cross_attention_dim).reshape({1, 7, -1});
    return net(in);
  }

  /// What comes out with the file, every name of which has to fit.
  at::Tensor with(const named& tensors, double strength = 1, const notes& metadata = {}) {
    const auto file = opened(tensors, metadata);
    EXPECT_TRUE(file) << file.error().message;
    if (!file) return {};
    EXPECT_THAT((*file)->unmatched(), IsEmpty());
    unet copy = base;
    std::vector<std::string> unmatched;
    const auto added = add_lora(copy, **file, strength, unmatched);
    EXPECT_TRUE(added) << added.error().message;
    EXPECT_THAT(unmatched, IsEmpty());
    return call(copy);
  }

  at::Tensor by_hand(const std::string& layer, const at::Tensor& weight,
                     const at::Tensor& bias_change = {}) const {
    unet copy = base;
    const auto change = [&](auto& l) {
      if (l.name != layer) return;
      l.weight = weight;
      if (bias_change.defined()) l.bias = l.bias + bias_change;
    };
    copy.visit({[&](nn::linear& l) { change(l); }, [&](nn::conv2d& l) { change(l); }});
    return call(copy);
  }

  void expect_same(const at::Tensor& a, const at::Tensor& b) const {
    EXPECT_TRUE(at::allclose(a, b, 1e-4, 1e-5)) << (a - b).abs().max();
    EXPECT_FALSE(at::allclose(a, call(base), 1e-4, 1e-5));
  }

  unet base = std::move(**load_unet(small_model() / "unet", at::kFloat, at::kCPU, nullptr, false));
  std::map<std::string, at::Tensor> weights;
  at::Tensor q, c;
  std::int64_t width = 0, c_out = 0, c_in = 0;
};

TEST_F(lora_layouts, what_peft_notes_counts_module_by_module) {
  const auto a = at::randn({4, width}), b = at::randn({width, 4});
  const named plain = {{"unet." + to_q + ".lora_A.weight", a},
                       {"unet." + to_q + ".lora_B.weight", b}};
  const auto times = [&](double s) { return by_hand(to_q, q + at::matmul(b, a) * s); };
  const auto noted = [&](const std::string& json) {
    return with(plain, 1, {{"lora_adapter_metadata", json}});
  };
  expect_same(noted(R"({"unet.r": 4, "unet.lora_alpha": 8})"), times(2));
  expect_same(noted(R"({"r": 4, "lora_alpha": 8})"), times(2));
  expect_same(noted(R"({"unet.r": 4, "unet.lora_alpha": 8, "unet.use_rslora": true})"), times(4));
  expect_same(noted(R"({"unet.r": 8, "unet.lora_alpha": 8, "unet.rank_pattern": {"to_q": 4},
                        "unet.alpha_pattern": {"attn2.to_q": 1, "attn1.to_q": 2, "to_q": 9}})"),
              times(0.5));
  expect_same(noted(R"({"r": 4, "lora_alpha": 8, "alpha_pattern": {"q": 1, "to_qq": 1}})"),
              times(2));
  expect_same(noted(R"x({"r": 4, "lora_alpha": 8,
                        "alpha_pattern": {"down_blocks\\.\\d\\..*\\.(?:to_k|to_q)": 6
}
})x"),
              times(1.5));
  // Of the other networks alone, or with alphas of the file's own.
  expect_same(noted(R"({"text_encoder.r": 4, "text_encoder.lora_alpha": 8})"), times(1));
  auto own = plain;
  own.emplace_back("unet." + to_q + ".alpha", at::scalar_tensor(12.0));
  expect_same(with(own, 1, {{"lora_adapter_metadata", R"({"unet.r": 4, "unet.lora_alpha": 8})"}}),
              times(3));
}

TEST_F(lora_layouts, what_peft_notes_is_checked) {
  const named plain = {{"unet." + to_q + ".lora_A.weight", at::randn({4, width})},
                       {"unet." + to_q + ".lora_B.weight", at::randn({width, 4})}};
  for (const auto* json :
       {"{", "[]", R"({"r": 4, "lora_alpha": "8"})", R"({"r": 0, "lora_alpha": 8})",
        R"({"r": 4, "lora_alpha": 1e400})", R"({"r": 4, "alpha_pattern": []})",
        R"({"r": 4, "alpha_pattern": {"a": null}})", R"({"r": 4, "alpha_pattern": {"(a": 1}})",
        R"({"r": 4, "alpha_pattern": {"((a{99}){99}){99}": 1}})",
        R"({"r": 4, "alpha_pattern": {"(a)\\1": 1}})"}) {
    const auto file = opened(plain, {{"lora_adapter_metadata", json}});
    ASSERT_FALSE(file) << json;
    EXPECT_EQ(file.error().code, ec::bad_file);
    EXPECT_THAT(file.error().message, HasSubstr("lora_adapter_metadata"));
  }
}

TEST_F(lora_layouts, a_folder_of_peft_has_its_alpha_beside_it) {
  const auto folder = fs::path(::testing::TempDir()) / "lp_peft" / "loras" / "style";
  fs::create_directories(folder);
  const auto a = at::randn({4, width}), b = at::randn({width, 4});
  ASSERT_TRUE(save_safetensors(folder / "adapter_model.safetensors",
                               {{"base_model.model." + to_q + ".lora_A.weight", a},
                                {"base_model.model." + to_q + ".lora_B.weight", b}}));
  std::ofstream(folder / "adapter_config.json") << R"({"r": 4, "lora_alpha": 8})";
  const auto path = find_lora(folder.parent_path().parent_path(), "style");
  ASSERT_TRUE(path);
  const auto file = lora_file::open(*path);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ((*file)->entries().size(), 1U);
  EXPECT_DOUBLE_EQ((*file)->entries()[0].scale, 2);
  EXPECT_EQ((*file)->entries()[0].layer, to_q);
}

TEST_F(lora_layouts, original_names_mean_the_same_layers) {
  for (const auto& [original, name] :
       {std::pair<std::string, std::string>{"input_blocks_1_0_in_layers_2", conv1},
        {"input_blocks_1_1_transformer_blocks_0_attn1_to_q", to_q},
        {"input_blocks_0_0", "conv_in"},
        {"out_2", "conv_out"},
        {"time_embed_2", "time_embedding.linear_2"},
        {"middle_block_2_out_layers_3", "mid_block.resnets.1.conv2"},
        {"output_blocks_0_0_skip_connection", "up_blocks.0.resnets.0.conv_shortcut"},
        {"output_blocks_0_0_emb_layers_1", "up_blocks.0.resnets.0.time_emb_proj"}}) {
    ASSERT_TRUE(weights.contains(name)) << name;
    const auto& w = weights[name];
    auto sizes = w.sizes().vec();
    sizes[0] = 2;
    const auto down = at::randn(sizes);
    const auto up = w.dim() == 4 ? at::randn({w.size(0), 2, 1, 1}) : at::randn({w.size(0), 2});
    const auto change = at::matmul(up.flatten(1), down.flatten(1)).reshape(w.sizes());
    for (const auto& prefix : {"lora_unet_" + original, "lora_unet_" + joined(name), "unet." + name,
                               "diffusion_model." + name}) {
      expect_same(with({{prefix + ".lora_down.weight", down}, {prefix + ".lora_up.weight", up}}),
                  by_hand(name, w + change));
    }
  }
}

TEST_F(lora_layouts, both_kinds_of_names_in_one_file_count_once) {
  const auto down = at::randn({2, width}), up = at::randn({width, 2});
  const std::string original = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q";
  expect_same(with({{original + ".lora_down.weight", down},
                    {original + ".lora_up.weight", up},
                    {"lora_unet_" + joined(to_q) + ".lora_down.weight", down},
                    {"lora_unet_" + joined(to_q) + ".lora_up.weight", up}}),
              by_hand(to_q, q + at::matmul(up, down)));
}

TEST_F(lora_layouts, convolutions_in_tucker_form) {
  const auto at = "lora_unet_" + joined(conv1);
  const auto down = at::randn({3, c_in, 1, 1}), mid = at::randn({3, 3, 3, 3});
  const auto up = at::randn({c_out, 3, 1, 1});
  const auto change = at::einsum("or,rshw,si->oihw", {up.flatten(1), mid, down.flatten(1)});
  const named file = {{at + ".lora_down.weight", down},
                      {at + ".lora_mid.weight", mid},
                      {at + ".lora_up.weight", up},
                      {at + ".alpha", at::scalar_tensor(1.5)}};
  expect_same(with(file, 0.5), by_hand(conv1, c + change * 0.25));
}

TEST_F(lora_layouts, products_and_their_tucker_form) {
  const auto at_q = "lora_unet_" + joined(to_q), at_c = "lora_unet_" + joined(conv1);
  const auto a1 = at::randn({width, 2}), b1 = at::randn({2, width});
  const auto a2 = at::randn({width, 2}), b2 = at::randn({2, width});
  expect_same(with({{at_q + ".hada_w1_a", a1},
                    {at_q + ".hada_w1_b", b1},
                    {at_q + ".hada_w2_a", a2},
                    {at_q + ".hada_w2_b", b2},
                    {at_q + ".alpha", at::scalar_tensor(1.0)},
                    {at_q + ".scalar", at::scalar_tensor(0.5)}}),
              by_hand(to_q, q + at::matmul(a1, b1) * at::matmul(a2, b2) * 0.25));
  const auto t1 = at::randn({2, 2, 3, 3}), t2 = at::randn({2, 2, 3, 3});
  const auto w1a = at::randn({2, c_out}), w1b = at::randn({2, c_in});
  const auto w2a = at::randn({2, c_out}), w2b = at::randn({2, c_in});
  const auto rebuilt = [](const at::Tensor& t, const at::Tensor& a, const at::Tensor& b) {
    return at::einsum("ijhw,io,jn->onhw", {t, a, b});
  };
  expect_same(with({{at_c + ".hada_t1", t1},
                    {at_c + ".hada_t2", t2},
                    {at_c + ".hada_w1_a", w1a},
                    {at_c + ".hada_w1_b", w1b},
                    {at_c + ".hada_w2_a", w2a},
                    {at_c + ".hada_w2_b", w2b}}),
              by_hand(conv1, c + rebuilt(t1, w1a, w1b) * rebuilt(t2, w2a, w2b)));
}

TEST_F(lora_layouts, kronecker_products) {
  const auto at_q = "lora_unet_" + joined(to_q), at_c = "lora_unet_" + joined(conv1);
  const auto w1 = at::randn({2, 2}), w2 = at::randn({width / 2, width / 2});
  // Whole factors have no rank: alpha says nothing.
  expect_same(with({{at_q + ".lokr_w1", w1},
                    {at_q + ".lokr_w2", w2},
                    {at_q + ".alpha", at::scalar_tensor(7.0)}}),
              by_hand(to_q, q + at::kron(w1, w2)));
  const auto a = at::randn({width / 2, 2}), b = at::randn({2, width / 2});
  expect_same(with({{at_q + ".lokr_w1", w1},
                    {at_q + ".lokr_w2_a", a},
                    {at_q + ".lokr_w2_b", b},
                    {at_q + ".alpha", at::scalar_tensor(1.0)}}),
              by_hand(to_q, q + at::kron(w1, at::matmul(a, b)) * 0.5));
  const auto t = at::randn({2, 2, 3, 3});
  const auto ta = at::randn({2, c_out / 2}), tb = at::randn({2, c_in / 2});
  const auto small = at::einsum("ijhw,io,jn->onhw", {t, ta, tb}).contiguous();
  expect_same(with({{at_c + ".lokr_w1", w1},
                    {at_c + ".lokr_t2", t},
                    {at_c + ".lokr_w2_a", ta},
                    {at_c + ".lokr_w2_b", tb}}),
              by_hand(conv1, c + at::kron(w1.unsqueeze(-1).unsqueeze(-1), small)));
}

TEST_F(lora_layouts, whole_differences_of_weights_and_biases) {
  const auto at = "lora_unet_" + joined(conv1);
  const auto change = at::randn(c.sizes()), of_bias = at::randn({c_out});
  expect_same(with({{at + ".diff", change}, {at + ".diff_b", of_bias}}, 0.5),
              by_hand(conv1, c + change * 0.5, of_bias * 0.5));
  expect_same(with({{at + ".diff_b", of_bias}}), by_hand(conv1, c, of_bias));
  const auto a = at::randn({2, c_in, 3, 3}), b = at::randn({c_out, 2, 1, 1});
  const auto low = at::matmul(b.flatten(1), a.flatten(1)).reshape(c.sizes());
  expect_same(with({{"unet." + conv1 + ".lora_A.weight", a},
                    {"unet." + conv1 + ".lora_B.weight", b},
                    {"unet." + conv1 + ".lora_B.bias", of_bias}},
                   2),
              by_hand(conv1, c + low * 2, of_bias * 2));
}

TEST_F(lora_layouts, weights_brought_to_a_magnitude) {
  const auto at = "lora_unet_" + joined(conv1);
  const auto a = at::randn({2, c_in, 3, 3}), b = at::randn({c_out, 2, 1, 1});
  const auto m = at::rand({c_out}) + 0.5;
  const auto changed = c + at::matmul(b.flatten(1), a.flatten(1)).reshape(c.sizes()) * 0.7;
  const auto norm = changed.flatten(1).norm(2, 1).reshape({-1, 1, 1, 1});
  const auto expected = by_hand(conv1, changed * m.reshape({-1, 1, 1, 1}) / norm);
  expect_same(with({{at + ".lora_down.weight", a},
                    {at + ".lora_up.weight", b},
                    {at + ".dora_scale", m.reshape({c_out, 1, 1, 1})}},
                   0.7),
              expected);
  expect_same(with({{"unet." + conv1 + ".lora_A.weight", a},
                    {"unet." + conv1 + ".lora_B.weight", b},
                    {"unet." + conv1 + ".lora_magnitude_vector", m.reshape({1, c_out, 1, 1})}},
                   0.7),
              expected);
  // Files from before 2024 have one an input.
  const auto by_input = at::rand({1, c_in, 1, 1}) + 0.5;
  const auto norms = changed.transpose(0, 1).flatten(1).norm(2, 1).reshape({1, -1, 1, 1});
  if (c_in != c_out)
    expect_same(with({{at + ".lora_down.weight", a},
                      {at + ".lora_up.weight", b},
                      {at + ".dora_scale", by_input}},
                     0.7),
                by_hand(conv1, changed * by_input / norms));
}

TEST_F(lora_layouts, packed_weights_are_changed_too) {
  const auto change = at::randn(c.sizes());
  const auto expected = by_hand(conv1, c + change);
  base.pack();
  expect_same(with({{"lora_unet_" + joined(conv1) + ".diff", change}}), expected);
}

TEST_F(lora_layouts, text_encoders_by_the_names_of_2023) {
  const auto net = load_clip_text(small_model() / "text_encoder", at::kFloat);
  ASSERT_TRUE(net);
  const std::string layer = "text_model.encoder.layers.0.self_attn.";
  const auto down = at::randn({2, 32}), up = at::randn({32, 2});
  const auto ids = at::arange(5).unsqueeze(0);
  std::vector<at::Tensor> results;
  for (const auto& [name, down_word, up_word] :
       {std::tuple{"text_encoder_2." + layer + "to_q_lora", ".down.weight", ".up.weight"},
        {"lora_te2_" + joined(layer) + "q_proj", ".lora_down.weight", ".lora_up.weight"},
        {"text_encoder_2." + layer + "q_proj.lora_linear_layer", ".down.weight", ".up.weight"},
        {"text_encoders.clip_g.transformer." + layer + "q_proj", ".lora_A.weight",
         ".lora_B.weight"}}) {
    const auto file = opened({{name + down_word, down}, {name + up_word, up}});
    ASSERT_TRUE(file) << file.error().message;
    clip_text copy = **net;
    std::vector<std::string> unmatched;
    ASSERT_TRUE(add_lora(copy, "text_encoder_2", **file, 1, unmatched));
    EXPECT_THAT(unmatched, IsEmpty()) << name;
    const c10::InferenceMode no_gradients;
    results.push_back(copy(ids).last_hidden_state);
  }
  for (const auto& r : results) EXPECT_TRUE(at::equal(r, results[0]));
  const c10::InferenceMode no_gradients;
  EXPECT_FALSE(at::allclose(results[0], (**net)(ids).last_hidden_state));
}

TEST_F(lora_layouts, what_is_incomplete_or_does_not_fit_is_told) {
  const auto at_q = "lora_unet_" + joined(to_q);
  const auto half = opened({{at_q + ".lora_down.weight", at::randn({2, width})},
                            {at_q + ".lora_up.weight", at::randn({width, 2})},
                            {"lora_unet_x.hada_w1_a", at::randn({2, 2})}});
  ASSERT_TRUE(half);
  EXPECT_THAT((*half)->unmatched(), ElementsAre("lora_unet_x.hada_w1_a"));
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& file : std::vector<named>{
           {{at_q + ".lokr_w1", at::randn({300, 2})}, {at_q + ".lokr_w2", at::randn({2, 2})}},
           {{at_q + ".diff", at::randn({3})}},
           {{at_q + ".diff_b", at::randn({3})}},
           {{at_q + ".lora_down.weight", at::randn({2, width})},
            {at_q + ".lora_up.weight", at::randn({width, 3})},
            {at_q + ".dora_scale", at::randn({width, 1})}},
           {{at_q + ".lora_down.weight", at::randn({2, width})},
            {at_q + ".lora_up.weight", at::full({width, 2}, nan)}},
           {{at_q + ".diff", at::full({width, width}, -INFINITY)}}}) {
    const auto opened_file = opened(file);
    ASSERT_TRUE(opened_file);
    unet copy = base;
    std::vector<std::string> unmatched;
    const auto refused = add_lora(copy, **opened_file, 1, unmatched);
    ASSERT_FALSE(refused) << file[0].first;
    EXPECT_EQ(refused.error().code, ec::bad_file);
    EXPECT_THAT(refused.error().message, HasSubstr(at_q));
    const bool finite = file.back().second.isfinite().all().item<bool>();
    EXPECT_THAT(refused.error().message, HasSubstr(finite ? "do not fit" : "not finite"));
  }
  const auto endless = opened({{at_q + ".lora_down.weight", at::randn({2, width})},
                               {at_q + ".lora_up.weight", at::randn({width, 2})},
                               {at_q + ".alpha", at::scalar_tensor(nan)}});
  ASSERT_FALSE(endless);
  EXPECT_THAT(endless.error().message, HasSubstr("alpha"));
}

TEST(lora, metadata_of_null_is_none) {
  const auto path = fs::path(::testing::TempDir()) / "lp_meta_null.safetensors";
  const std::string header =
      R"({"__metadata__":null,"a.lora_A.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},)"
      R"("a.lora_B.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}})";
  const std::uint64_t length = header.size();
  std::ofstream(path, std::ios::binary)
      << std::string_view(reinterpret_cast<const char*>(&length), 8) << header
      << std::string(8, '\0');
  const auto file = lora_file::open(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ((*file)->entries().size(), 1U);
}

TEST(lora, reported_files_fit_whole) {
  const auto shared = fs::path(LP_SOURCE_DIR).parent_path() / "shared";
  const auto cases = shared / "cases" / "t2";
  const auto model = shared / "goldens" / "pipe_sdxl_euler" / "model";
  if (!fs::exists(cases) || !fs::exists(model)) GTEST_SKIP() << "no ../shared";
  // Its layers are numbered as of two blocks a level.
  auto config = *read_json_file(model / "unet" / "config.json");
  config["layers_per_block"] = 2;
  recording_parameters shapes;
  unet net(*parse_unet_config(config), scope(shapes));
  const auto text = load_clip_text(model / "text_encoder_2", at::kFloat);
  ASSERT_TRUE(text);
  for (const auto* name : {"sgm_locon", "te2_toq"}) {
    const auto file = lora_file::open(cases / (std::string(name) + ".safetensors"));
    ASSERT_TRUE(file) << file.error().message;
    std::vector<std::string> unmatched = (*file)->unmatched();
    const auto first = add_lora(net, **file, 1, unmatched);
    const auto second = add_lora(**text, "text_encoder_2", **file, 1, unmatched);
    EXPECT_TRUE(first) << first.error().message;
    EXPECT_TRUE(second) << second.error().message;
    EXPECT_THAT(unmatched, IsEmpty()) << name;
  }
}

}  // namespace
}  // namespace lp::engine
