// SPDX-License-Identifier: MIT
#include "tools/golden-runner/kinds.hpp"

#include <algorithm>
#include <array>

namespace lp::goldens {

runner find_runner(std::string_view kind) {
  static constexpr std::array<std::pair<std::string_view, runner>, 14> table = {{
      {"clip", run_clip},
      {"image", run_image},
      {"math", run_math},
      {"pipeline", run_pipeline},
      {"rng", run_rng},
      {"safetensors", run_safetensors},
      {"scheduler", run_scheduler},
      {"scheduler_math", run_scheduler_math},
      {"text_encoder", run_text_encoder},
      {"tokenizer", run_tokenizer},
      {"unet", run_unet},
      {"vae", run_vae},
      {"vision_encoder", run_vision_encoder},
      {"weights", run_weights},
  }};
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const auto& entry) { return entry.first == kind; });
  return found == table.end() ? nullptr : found->second;
}

}  // namespace lp::goldens
