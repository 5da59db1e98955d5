// SPDX-License-Identifier: MIT
// The original naming: every tensor of the real folders has a name there, and a file in it draws
// what the folder draws.
#include "pipelines/engine/single_file.hpp"

#include <filesystem>
#include <fstream>
#include <regex>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <boost/json.hpp>

#include "pipelines/engine/json_file.hpp"
#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "tests/engine/small_model.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using named_tensors = std::vector<std::pair<std::string, at::Tensor>>;
using ::testing::HasSubstr;

const fs::path shapes = fs::path(LP_SOURCE_DIR).parent_path() / "shared" / "hf-configs" / "shapes";

std::string replaced(std::string text, const std::vector<std::pair<std::string, std::string>>& by) {
  for (const auto& [from, to] : by) {
    if (text.starts_with(from)) return to + text.substr(from.size());
  }
  return text;
}

/// The way back from a Diffusers name of a UNet, written down by the original code's loops.
std::string original_unet_name(const std::string& name, int layers) {
  const std::vector<std::pair<std::string, std::string>> ends = {
      {"conv_in.", "input_blocks.0.0."},
      {"time_embedding.linear_1.", "time_embed.0."},
      {"time_embedding.linear_2.", "time_embed.2."},
      {"add_embedding.linear_1.", "label_emb.0.0."},
      {"add_embedding.linear_2.", "label_emb.0.2."},
      {"class_embedding.", "label_emb."},
      {"conv_norm_out.", "out.0."},
      {"conv_out.", "out.2."},
      {"mid_block.attentions.0.", "middle_block.1."}};
  if (const auto known = replaced(name, ends); known != name) return known;
  const std::vector<std::pair<std::string, std::string>> residual = {
      {"norm1.", "in_layers.0."},          {"conv1.", "in_layers.2."},
      {"time_emb_proj.", "emb_layers.1."}, {"norm2.", "out_layers.0."},
      {"conv2.", "out_layers.3."},         {"conv_shortcut.", "skip_connection."}};
  std::smatch m;
  if (std::regex_match(name, m, std::regex(R"(mid_block\.resnets\.(\d)\.(.*))")))
    return fmt::format("middle_block.{}.{}", std::stoi(m[1]) * 2, replaced(m[2], residual));
  if (!std::regex_match(name, m, std::regex(R"((down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*))")))
    return name;
  const bool down = m[1] == "down";
  const int level = std::stoi(m[2]), place = std::stoi(m[4]);
  const std::string rest = m[5];
  const int first = level * (layers + 1) + (down ? 1 : 0);
  const std::string side = down ? "input_blocks" : "output_blocks";
  if (m[3] == "resnets")
    return fmt::format("{}.{}.0.{}", side, first + place, replaced(rest, residual));
  if (m[3] == "attentions") return fmt::format("{}.{}.1.{}", side, first + place, rest);
  if (m[3] == "downsamplers")
    return fmt::format("{}.{}.0.op.{}", side, first + layers, rest.substr(5));
  // Behind the attention where the level has one; the reader takes either place.
  return fmt::format("{}.{}.{}.conv.{}", side, first + layers, level == 0 ? 1 : 2, rest.substr(5));
}

std::string original_vae_name(const std::string& name, int levels) {
  std::smatch m;
  if (!std::regex_match(name, m, std::regex(R"((encoder|decoder)\.(.*))"))) return name;
  const std::string side = m[1].str() + ".";
  const std::string rest = m[2];
  if (rest.starts_with("conv_norm_out.")) return side + "norm_out." + rest.substr(14);
  const std::vector<std::pair<std::string, std::string>> attention = {
      {"group_norm.", "norm."},  {"to_q.", "q."}, {"to_k.", "k."},  {"to_v.", "v."},
      {"query.", "q."},          {"key.", "k."},  {"value.", "v."}, {"proj_attn.", "proj_out."},
      {"to_out.0.", "proj_out."}};
  const std::vector<std::pair<std::string, std::string>> residual = {
      {"conv_shortcut.", "nin_shortcut."}};
  if (rest.starts_with("mid_block.attentions.0."))
    return side + "mid.attn_1." + replaced(rest.substr(23), attention);
  if (std::regex_match(rest, m, std::regex(R"(mid_block\.resnets\.(\d)\.(.*))")))
    return fmt::format("{}mid.block_{}.{}", side, std::stoi(m[1]) + 1, m[2].str());
  if (!std::regex_match(rest, m, std::regex(R"((down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*))")))
    return name;
  const bool down = m[1] == "down";
  const int level = down ? std::stoi(m[2]) : levels - 1 - std::stoi(m[2]);
  const auto at = fmt::format("{}{}.{}.", side, m[1].str(), level);
  if (m[3] == "resnets")
    return fmt::format("{}block.{}.{}", at, m[4].str(), replaced(m[5], residual));
  return at + (down ? "downsample." : "upsample.") + m[5].str();
}

std::string text_prefix(const std::string& name) {
  return "cond_stage_model.transformer." + name;
}

std::map<std::string, std::vector<std::int64_t>> read_shapes(const std::string& name) {
  std::map<std::string, std::vector<std::int64_t>> out;
  const auto json = read_json_file(shapes / (name + ".json"));
  EXPECT_TRUE(json) << name;
  for (const auto& [tensor, info] : *json)
    out[tensor] = boost::json::value_to<std::vector<std::int64_t>>(info.at("shape"));
  return out;
}

TEST(original_names, of_every_tensor_lead_to_the_folders_name) {
  if (!fs::exists(shapes)) GTEST_SKIP() << "no ../shared";
  for (const auto* unet :
       {"sd15-unet", "sd21-unet", "sd15-inpainting-unet", "sdxl-unet", "x4-upscaler-unet"}) {
    std::map<std::string, int> seen;
    for (const auto& [name, shape] : read_shapes(unet)) {
      const auto original = original_unet_name(name, 2);
      EXPECT_EQ(diffusers_unet_name(original), name) << original;
      EXPECT_EQ(++seen[original], 1) << original;
    }
  }
  for (const auto& [vae, levels] :
       {std::pair{"sd15-vae", 4}, {"sdxl-vae", 4}, {"x4-upscaler-vae", 3}}) {
    for (const auto& [name, shape] : read_shapes(vae)) {
      const auto original = original_vae_name(name, levels);
      EXPECT_EQ(diffusers_vae_name(original, static_cast<std::size_t>(levels)), name) << original;
    }
  }
}

stored_tensor of(const at::Tensor& t) {
  return {"F32", t.sizes().vec(), [t]() -> result<at::Tensor> { return t; }};
}

TEST(original_names, open_clip_layers_are_cut_in_three) {
  const auto weight = at::arange(24, at::kFloat).reshape({6, 4});
  const auto projection = at::arange(6, at::kFloat).reshape({2, 3});
  const auto renamed = rename_original(
      {{"conditioner.embedders.1.model.transformer.resblocks.3.attn.in_proj_weight", of(weight)},
       {"conditioner.embedders.1.model.text_projection", of(projection)},
       {"conditioner.embedders.1.model.positional_embedding", of(weight)},
       {"conditioner.embedders.1.model.transformer.resblocks.3.mlp.c_fc.bias", of(weight)},
       {"conditioner.embedders.1.model.logit_scale", of(weight)},
       {"model_ema.decay", of(weight)}});
  const std::string layer = "text_model.encoder.layers.3.";
  ASSERT_EQ(renamed.text_2.size(), 6U);
  EXPECT_TRUE(at::equal(renamed.text_2.at(layer + "self_attn.k_proj.weight").load().value(),
                        weight.narrow(0, 2, 2)));
  EXPECT_EQ(renamed.text_2.at(layer + "self_attn.v_proj.weight").shape,
            (std::vector<std::int64_t>{2, 4}));
  EXPECT_TRUE(
      at::equal(renamed.text_2.at("text_projection.weight").load().value(), projection.t()));
  EXPECT_TRUE(renamed.text_2.contains(layer + "mlp.fc1.bias"));
  EXPECT_TRUE(renamed.text_2.contains("text_model.embeddings.position_embedding.weight"));
}

/// The small model as one file in the original naming, its sizes in the file beside it.
fs::path single_file(const std::string& name, at::ScalarType dtype = at::kFloat) {
  const auto folder = fs::path(::testing::TempDir()) / "lp_single" / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  fs::copy(small_model() / "tokenizer", folder / "tokenizer");
  boost::json::object beside;
  for (const auto* part : {"unet", "vae", "text_encoder"})
    beside[part] = *read_json_file(small_model() / part / "config.json");
  auto scheduler = *read_json_file(small_model() / "scheduler" / "scheduler_config.json");
  scheduler["steps_offset"] = 1;
  scheduler["clip_sample"] = false;
  beside["scheduler"] = scheduler;
  std::ofstream(folder / "tiny.json") << boost::json::serialize(beside);

  const auto layers = static_cast<int>(beside["unet"].at("layers_per_block").as_int64());
  const auto levels = static_cast<int>(beside["vae"].at("block_out_channels").as_array().size());
  std::vector<std::pair<std::string, at::Tensor>> all;
  const auto add = [&](const char* part, auto rename) {
    for (const auto& file : fs::directory_iterator(small_model() / part)) {
      if (file.path().extension() != ".safetensors") continue;
      const auto tensors = open_tensors(file.path()).value();
      for (const auto& [tensor, stored] : tensors)
        all.emplace_back(rename(tensor), stored.load().value().to(dtype));
    }
  };
  add("unet", [&](const std::string& n) {
    return "model.diffusion_model." + original_unet_name(n, layers);
  });
  add("vae",
      [&](const std::string& n) { return "first_stage_model." + original_vae_name(n, levels); });
  add("text_encoder", text_prefix);
  EXPECT_TRUE(save_safetensors(folder / "tiny.safetensors", all));
  return folder / "tiny.safetensors";
}

std::shared_ptr<const stable_diffusion> loaded(const fs::path& model, bool low_memory = false) {
  stable_diffusion_options options;
  options.precision = weight_precision::fp32;
  options.low_memory = low_memory;
  const auto pipeline = stable_diffusion::load(model, options);
  EXPECT_TRUE(pipeline) << pipeline.error().message;
  if (!pipeline) return nullptr;
  (*pipeline)->wait_until_packed();
  return *pipeline;
}

at::Tensor drawn(const std::shared_ptr<const stable_diffusion>& pipeline) {
  if (!pipeline) return {};
  drawing_request r;
  r.prompts = {"a red circle on a blue background"};
  r.seeds = {7};
  r.width = r.height = 64;
  r.steps = 3;
  const auto d = stable_diffusion::start(pipeline, r).value();
  while (d->done() < d->total()) EXPECT_TRUE(d->step());
  return d->picture(0).value();
}

at::Tensor drawn(const fs::path& model) {
  return drawn(loaded(model));
}

/// Places of this process's memory where the file is.
int mapped(const fs::path& file) {
  std::ifstream maps("/proc/self/maps");
  int out = 0;
  for (std::string line; std::getline(maps, line);)
    if (line.find(file.string()) != line.npos) ++out;
  return out;
}

TEST(single_file, draws_what_its_folder_draws) {
  const auto file = single_file("whole");
  EXPECT_TRUE(at::equal(drawn(file), drawn(small_model())));
}

TEST(single_file, is_in_memory_by_parts_where_memory_is_low) {
  // As fp16 all of it is widened, so that the file is needed for reading alone.
  const auto file = single_file("low", at::kHalf);
  const auto before = tensor_memory().in_use;
  auto whole = loaded(file);
  const auto expected = drawn(whole);
  const auto usual = tensor_memory().in_use - before;
  const auto bytes = whole->bytes();
  whole.reset();
  const auto low = loaded(file, true);
  EXPECT_EQ(mapped(file), 0) << "the file stays open";
  EXPECT_LT(low->bytes(), bytes);
  const auto at_rest = tensor_memory().in_use - before;
  EXPECT_LT(at_rest, usual * 3 / 4) << "text encoder and autoencoder are still there";
  EXPECT_TRUE(at::equal(drawn(low), expected));
  EXPECT_LT(tensor_memory().in_use - before, at_rest + (256U << 10)) << "of " << usual;
  EXPECT_EQ(mapped(file), 0);
}

TEST(single_file, shares_its_networks_with_a_folder_of_the_same_content) {
  const auto file = single_file("shared", at::kHalf);
  const auto folder = file.parent_path() / "folder";
  ASSERT_TRUE(unpack_single_file(file, folder, "fp16"));
  const auto before = tensor_memory().in_use;
  const auto first = loaded(folder);
  const auto one = tensor_memory().in_use - before;
  const auto second = loaded(file);
  EXPECT_LT(tensor_memory().in_use - before, one + one / 10);
  EXPECT_TRUE(at::equal(drawn(first), drawn(second)));
}

TEST(single_file, becomes_a_folder_that_draws_the_same) {
  const auto file = single_file("unpacked");
  const auto folder = file.parent_path() / "folder";
  const auto ok = unpack_single_file(file, folder, "fp32");
  ASSERT_TRUE(ok) << ok.error().message;
  EXPECT_TRUE(at::equal(drawn(folder), drawn(file)));
  const auto index = read_json_file(folder / "model_index.json").value();
  EXPECT_EQ(index.at("_class_name"), "StableDiffusionPipeline");
  EXPECT_FALSE(unpack_single_file(file, folder / "other", "fp8"));
}

named_tensors tensors_of(const fs::path& file) {
  named_tensors out;
  const auto tensors = open_tensors(file).value();
  for (const auto& [name, stored] : tensors) out.emplace_back(name, stored.load().value());
  return out;
}

TEST(single_file, predicts_what_its_tensors_say_whatever_it_is_called) {
  const auto file = single_file("keys");
  const auto plain = tensors_of(file);
  EXPECT_EQ(sort_single_file(file)->scheduler.at("prediction_type"), "epsilon");
  for (const auto* name : {"768-v-ema.safetensors", "model-v.safetensors"}) {
    const auto named = file.parent_path() / name;
    fs::copy_file(file, named);
    fs::copy_file(file.parent_path() / "tiny.json", fs::path(named).replace_extension(".json"));
    EXPECT_EQ(sort_single_file(named)->scheduler.at("prediction_type"), "epsilon") << name;
  }
  auto with_keys = plain;
  with_keys.emplace_back("v_pred", at::empty({0}));
  EXPECT_TRUE(save_safetensors(file, with_keys));
  auto sorted = sort_single_file(file).value();
  EXPECT_EQ(sorted.scheduler.at("prediction_type"), "v_prediction");
  EXPECT_FALSE(sorted.scheduler.contains("rescale_betas_zero_snr"));
  EXPECT_EQ(sorted.assumed, "");
  with_keys.emplace_back("ztsnr", at::empty({0}));
  EXPECT_TRUE(save_safetensors(file, with_keys));
  sorted = sort_single_file(file).value();
  EXPECT_EQ(sorted.scheduler.at("rescale_betas_zero_snr"), true);
  EXPECT_EQ(sorted.scheduler.at("timestep_spacing"), "trailing");
  EXPECT_TRUE(loaded(file)->notes().empty());
}

TEST(single_file, draws_as_a_folder_whose_scheduler_says_the_same) {
  const auto file = single_file("as_folder");
  auto with_key = tensors_of(file);
  with_key.emplace_back("v_pred", at::empty({0}));
  EXPECT_TRUE(save_safetensors(file, with_key));
  const auto folder = copy_of_small_model("as_folder");
  replace_in(folder / "scheduler" / "scheduler_config.json", "\"epsilon\"", "\"v_prediction\"");
  const auto expected = drawn(folder);
  EXPECT_TRUE(at::equal(drawn(file), expected));
  EXPECT_FALSE(at::equal(drawn(small_model()), expected));
  // The owner's word goes before the file's.
  std::ofstream(file.parent_path() / "lp_model.json") << R"({"prediction_type": "epsilon"})";
  EXPECT_TRUE(at::equal(drawn(file), drawn(small_model())));
  std::ofstream(folder / "lp_model.json") << R"({"prediction_type": "epsilon"})";
  EXPECT_TRUE(at::equal(drawn(folder), drawn(small_model()))) << "of folders, too";
  std::ofstream(folder / "lp_model.json") << R"({"prediction_type": "noise"})";
  EXPECT_THAT(stable_diffusion::load(folder).error().message, HasSubstr("prediction_type"));
}

TEST(single_file, loads_without_what_its_networks_do_not_have) {
  const auto file = single_file("clutter");
  auto tensors = tensors_of(file);
  const auto extra = at::ones({3});
  for (const auto* name :
       {"betas", "alphas_cumprod", "model_ema.decay", "embedding_manager.x", "lora_te_x.alpha",
        "model.diffusion_model.extra.weight", "first_stage_model.loss.logvar"})
    tensors.emplace_back(name, extra);
  EXPECT_TRUE(save_safetensors(file, tensors));
  const auto pipeline = loaded(file);
  ASSERT_TRUE(pipeline);
  EXPECT_TRUE(at::equal(drawn(pipeline), drawn(small_model())));
  std::string told;
  for (const auto& note : pipeline->notes()) told += note + "\n";
  EXPECT_THAT(told, HasSubstr("tiny.safetensors: 3 tensors left out"));
  EXPECT_THAT(told, HasSubstr("embedding_manager.x, lora_te_x.alpha, model.diffusion_model.ex"));
  EXPECT_THAT(told, HasSubstr("loss.logvar"));
  std::erase_if(tensors, [](const auto& t) {
    return t.first == "model.diffusion_model.input_blocks.0.0.weight";
  });
  EXPECT_TRUE(save_safetensors(file, tensors));
  EXPECT_THAT(stable_diffusion::load(file).error().message,
              HasSubstr("1 missing tensor(s): conv_in.weight"));
}

TEST(folder, loads_without_what_its_networks_do_not_have) {
  const auto folder = copy_of_small_model("clutter");
  const auto file = folder / "unet" / "diffusion_pytorch_model.safetensors";
  auto tensors = tensors_of(file);
  tensors.emplace_back("stray.weight", at::ones({3}));
  fs::remove(file);
  EXPECT_TRUE(save_safetensors(file, tensors));
  const auto pipeline = loaded(folder);
  ASSERT_TRUE(pipeline);
  ASSERT_EQ(pipeline->notes().size(), 1U);
  EXPECT_EQ(pipeline->notes()[0],
            "unet: 1 tensor left out, which this kind of network does not have: stray.weight");
  EXPECT_TRUE(at::equal(drawn(pipeline), drawn(small_model())));
}

TEST(single_file, says_what_is_missing) {
  const auto file = single_file("broken");
  fs::remove_all(file.parent_path() / "tokenizer");
  const auto wordless = stable_diffusion::load(file);
  ASSERT_FALSE(wordless);
  EXPECT_THAT(wordless.error().message, HasSubstr("tokenizer"));
  EXPECT_TRUE(save_safetensors(file, {{"weight", at::zeros({1})}}));
  const auto empty = stable_diffusion::load(file);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, ec::bad_file);
  EXPECT_THAT(empty.error().message, HasSubstr("model.diffusion_model"));
}

}  // namespace
}  // namespace lp::engine
