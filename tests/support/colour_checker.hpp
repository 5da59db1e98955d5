// SPDX-License-Identifier: MIT
// A safety checker that takes offence at pictures with more red than green: a folder in the layout
// of Stable Diffusion's, with weights set by hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <boost/json.hpp>

namespace lp::testing {

class colour_checker {
 public:
  static constexpr std::int64_t side = 8;
  static constexpr std::int64_t hidden = 8;
  static constexpr std::int64_t projection = 4;

  /// Writes "safety_checker" and "feature_extractor" into the folder.
  static void write(const std::filesystem::path& model) { colour_checker().write_all(model); }

 private:
  struct tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };

  tensor& zeros(const std::string& name, std::vector<std::int64_t> shape) {
    std::size_t count = 1;
    for (const auto d : shape) count *= static_cast<std::size_t>(d);
    return tensors_[name] = {std::move(shape), std::vector<float>(count)};
  }
  void norm(const std::string& name) {
    zeros(name + ".weight", {hidden}).values.assign(hidden, 1.0F);
    zeros(name + ".bias", {hidden});
  }
  tensor& linear(const std::string& name, std::int64_t out, std::int64_t in) {
    zeros(name + ".bias", {out});
    return zeros(name + ".weight", {out, in});
  }
  void identity(const std::string& name) {
    auto& w = linear(name, hidden, hidden).values;
    for (std::size_t i = 0; i < hidden; ++i) w[i * hidden + i] = 1;
  }

  colour_checker() {
    const std::string v = "vision_model.vision_model.";
    zeros(v + "embeddings.class_embedding", {hidden});
    zeros(v + "embeddings.position_embedding.weight", {2, hidden});
    // One patch; its first three numbers are the means of red, green and blue.
    auto& patch = zeros(v + "embeddings.patch_embedding.weight", {hidden, 3, side, side}).values;
    constexpr std::size_t area = side * side;
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t i = 0; i < area; ++i) patch[(c * 3 + c) * area + i] = 1.0F / area;
    }
    norm(v + "pre_layrnorm");
    norm(v + "post_layernorm");
    const std::string layer = v + "encoder.layers.0.";
    norm(layer + "layer_norm1");
    norm(layer + "layer_norm2");
    // The class token takes over half of what the patch says.
    linear(layer + "self_attn.q_proj", hidden, hidden);
    linear(layer + "self_attn.k_proj", hidden, hidden);
    identity(layer + "self_attn.v_proj");
    identity(layer + "self_attn.out_proj");
    linear(layer + "mlp.fc1", 4, hidden);
    linear(layer + "mlp.fc2", hidden, 4);
    // An embedding is red less green, and nothing else.
    auto& seen = zeros("visual_projection.weight", {projection, hidden}).values;
    seen[0] = 1;
    seen[1] = -1;
    // Its likeness to the first concept is 1 or -1, to the others 0.
    zeros("concept_embeds", {17, projection}).values[0] = 1;
    zeros("concept_embeds_weights", {17}).values.assign(17, 0.5F);
    zeros("special_care_embeds", {3, projection});
    zeros("special_care_embeds_weights", {3}).values.assign(3, 0.5F);
  }

  void write_all(const std::filesystem::path& model) const {
    namespace json = boost::json;
    std::filesystem::create_directories(model / "safety_checker");
    std::filesystem::create_directories(model / "feature_extractor");
    const json::object vision{{"hidden_size", hidden},      {"intermediate_size", 4},
                              {"num_hidden_layers", 1},     {"num_attention_heads", 2},
                              {"image_size", side},         {"patch_size", side},
                              {"hidden_act", "quick_gelu"}, {"projection_dim", 512}};
    text(model / "safety_checker/config.json",
         json::serialize(json::object{{"architectures", {"StableDiffusionSafetyChecker"}},
                                      {"projection_dim", projection},
                                      {"vision_config", vision}}));
    text(model / "feature_extractor/preprocessor_config.json",
         json::serialize(json::object{{"size", side}, {"crop_size", side}}));
    json::object header;
    std::string data;
    for (const auto& [name, t] : tensors_) {
      const auto begin = data.size();
      data.append(reinterpret_cast<const char*>(t.values.data()), t.values.size() * sizeof(float));
      header[name] = {{"dtype", "F32"},
                      {"shape", json::array(t.shape.begin(), t.shape.end())},
                      {"data_offsets", {begin, data.size()}}};
    }
    std::string head = json::serialize(header);
    head.resize((head.size() + 7) / 8 * 8, ' ');
    std::string length(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(head.size() >> (8 * i));
    text(model / "safety_checker/model.safetensors", length + head + data);
  }

  static void text(const std::filesystem::path& file, const std::string& what) {
    std::ofstream(file, std::ios::binary) << what;
  }

  std::map<std::string, tensor> tensors_;
};

}  // namespace lp::testing
