// SPDX-License-Identifier: MIT
#include "pipelines/engine/unet.hpp"

#include "pipelines/engine/checkpoint.hpp"
#include "tools/golden-runner/kinds.hpp"

namespace lp::goldens {

result<answer> run_unet(const golden_case& c) {
  const auto name = golden_case::class_name(c.path("model_dir") / "config.json");
  if (!name) return fail(name.error());
  if (*name != "UNet2DConditionModel") return answer::not_yet(*name);
  engine::unet_input in;
  for (const auto& [key, value] : c.inputs()) {
    if (key == "sample") {
      in.sample = value;
    } else if (key == "timestep") {
      in.timestep = value;
    } else if (key == "encoder_hidden_states") {
      in.encoder_hidden_states = value;
    } else if (key == "timestep_cond") {
      in.timestep_cond = value;
    } else if (key == "class_labels") {
      in.class_labels = value;
    } else if (key == "text_embeds") {
      in.text_embeds = value;
    } else if (key == "time_ids") {
      in.time_ids = value;
    } else {
      return answer::not_yet("the input " + key);
    }
  }
  const auto network = engine::load_unet(c.path("model_dir"), at::kFloat);
  if (!network) return fail(network.error());
  return answer{{{"sample", (**network)(in)}}, {}};
}

}  // namespace lp::goldens
