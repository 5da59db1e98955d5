// SPDX-License-Identifier: MIT
// Euler's method for flow matching (arXiv 2210.02747): sample = (1 - sigma) * clean + sigma *
// noise, and the network predicts noise - clean. Times are shifted for large pictures as in
// section 5.3.2 of arXiv 2403.03206.
#include <ATen/TensorOperators.h>

#include "pipelines/engine/schedulers/alpha_scheduler.hpp"
#include "pipelines/engine/schedulers/makers.hpp"
#include "pipelines/engine/schedulers/noise_schedule.hpp"

namespace lp::engine {

namespace {

class flow_euler final : public scheduler {
 public:
  explicit flow_euler(settings& config)
      : train_(config.integer("num_train_timesteps", 1000, 1, 100000)),
        shift_(config.number("shift", 1.0)) {
    for (const auto* key : {"use_dynamic_shifting", "use_karras_sigmas", "use_exponential_sigmas",
                            "use_beta_sigmas", "invert_sigmas", "stochastic_sampling"}) {
      if (config.flag(key, false)) config.complain(std::string(key) + ": not supported");
    }
    if (config.number("shift_terminal")) config.complain("shift_terminal: not supported");
    if (!(shift_ > 0)) config.complain("shift: expected a positive number");
  }

  result<void> set_timesteps(int steps) override {
    if (auto ok = check_step_count(steps, 1, train_); !ok) return ok;
    pred_original_.reset();
    // The ends are shifted once in training and all of it once more for sampling.
    sigmas_ = linspace(shifted(1), shifted(1.0 / train_), steps);
    timesteps_.clear();
    for (auto& s : sigmas_) {
      s = shifted(s);
      timesteps_.push_back(s * train_);
    }
    sigmas_.push_back(0);
    round_to_float(sigmas_);
    round_to_float(timesteps_);
    return {};
  }

  at::Tensor step(const at::Tensor& output, std::size_t i, const at::Tensor& sample,
                  std::vector<at::Generator>& /*noise*/) override {
    return sample + output * (sigmas_[i + 1] - sigmas_[i]);
  }

  at::Tensor add_noise(const at::Tensor& original, const at::Tensor& noise,
                       std::size_t i) const override {
    return original * (1 - sigmas_[i]) + noise * sigmas_[i];
  }

 private:
  double shifted(double sigma) const { return shift_ * sigma / (1 + (shift_ - 1) * sigma); }

  int train_;
  double shift_;
};

}  // namespace

std::unique_ptr<scheduler> make_flow_euler(settings& config) {
  return std::make_unique<flow_euler>(config);
}

}  // namespace lp::engine
