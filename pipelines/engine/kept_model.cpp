// SPDX-License-Identifier: MIT
#include "pipelines/engine/kept_model.hpp"

#include <string>
#include <utility>
#include <vector>

#include "pipelines/weights/lost_files.hpp"

namespace lp::engine {

namespace {

class kept_run final : public pipelines::run {
 public:
  kept_run(std::unique_ptr<pipelines::run> inner, std::uint64_t losses)
      : inner_(std::move(inner)), losses_(losses) {}

  result<pipelines::progress> step() override { return checked(inner_->step()); }
  result<pipelines::output> finish() override { return checked(inner_->finish()); }
  result<pipelines::media> preview() const override { return checked(inner_->preview()); }
  std::uint64_t batch_key() const override { return inner_->batch_key(); }

  std::vector<result<pipelines::progress>> step_with(
      std::span<pipelines::run* const> others) override {
    std::vector<const kept_run*> all{this};
    std::vector<pipelines::run*> inner;
    for (auto* other : others) {
      auto* same = dynamic_cast<kept_run*>(other);
      if (same == nullptr) return run::step_with(others);
      all.push_back(same);
      inner.push_back(same->inner_.get());
    }
    auto out = inner_->step_with(inner);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = all[i]->checked(std::move(out[i]));
    return out;
  }

 private:
  template <class T>
  result<T> checked(result<T> outcome) const {
    if (auto ok = pipelines::none_lost_since(losses_); !ok) return fail(std::move(ok.error()));
    return outcome;
  }

  std::unique_ptr<pipelines::run> inner_;
  std::uint64_t losses_;  ///< when the model was loaded
};

class kept_model final : public pipelines::model {
 public:
  kept_model(std::shared_ptr<pipelines::model> inner, std::uint64_t losses)
      : inner_(std::move(inner)), losses_(losses) {}

  bool usable() const override { return pipelines::lost_files() == losses_; }
  std::uint64_t bytes() const override { return inner_->bytes(); }
  std::vector<std::string> notes() const override { return inner_->notes(); }
  result<pipelines::memory_need> memory_for(const pipelines::job_input& input) const override {
    return inner_->memory_for(input);
  }
  std::string what_fits(const pipelines::job_input& input, std::uint64_t peak) const override {
    return inner_->what_fits(input, peak);
  }
  std::shared_ptr<pipelines::safety_classifier> safety() const override { return inner_->safety(); }

  result<std::unique_ptr<pipelines::run>> start(const pipelines::job_input& input) override {
    auto started = inner_->start(input);
    if (auto ok = pipelines::none_lost_since(losses_); !ok) return fail(std::move(ok.error()));
    if (!started) return started;
    return std::make_unique<kept_run>(std::move(*started), losses_);
  }

 private:
  std::shared_ptr<pipelines::model> inner_;
  std::uint64_t losses_;
};

}  // namespace

result<std::shared_ptr<pipelines::model>> keep_model(
    const std::function<result<std::shared_ptr<pipelines::model>>()>& load) {
  const auto losses = pipelines::lost_files();
  auto loaded = load();
  if (auto ok = pipelines::none_lost_since(losses); !ok) return fail(std::move(ok.error()));
  if (!loaded) return loaded;
  return std::make_shared<kept_model>(std::move(*loaded), losses);
}

}  // namespace lp::engine
