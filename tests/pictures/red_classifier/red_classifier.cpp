// SPDX-License-Identifier: MIT
// A classifier that takes offence at red.
#include "pipelines/safety.hpp"

namespace {

namespace pipelines = lp::pipelines;

class red_classifier : public pipelines::safety_classifier {
 public:
  std::string name() const override { return "red-classifier"; }

  lp::result<bool> offensive(const pipelines::picture& p) override {
    std::size_t red = 0;
    const std::string& bytes = *p.values;
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    for (std::size_t i = 0; i + 2 < bytes.size(); i += p.channels) {
      red += at(i) > 150 && at(i + 1) < 90 && at(i + 2) < 90 ? 1 : 0;
    }
    return red * 20 > std::size_t{p.width} * p.height;  // a twentieth
  }
};

}  // namespace

extern "C" pipelines::safety_classifier* lp_safety_classifier() {
  static red_classifier instance;
  return &instance;
}
