// SPDX-License-Identifier: MIT
// A model whose files go away while it draws.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "pipelines/engine.hpp"
#include "pipelines/engine/convert_weights.hpp"
#include "pipelines/model.hpp"
#include "tests/engine/small_model.hpp"

extern "C" lp::pipelines::engine* lp_engine_instance();

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

pipelines::job_input job() {
  pipelines::job_input in;
  in.params = {{"prompt", "a red circle"}, {"width", 64}, {"height", 64},
               {"num_inference_steps", 4}, {"seed", 7},   {"num_images_per_prompt", 1}};
  return in;
}

result<pipelines::output> drawn(pipelines::run& run) {
  for (;;) {
    const auto here = run.step();
    if (!here) return fail(here.error());
    if (here->done == here->total) return run.finish();
  }
}

class kept_model_test : public ::testing::Test {
 protected:
  kept_model_test() { stay_in_files(); }

  result<std::shared_ptr<pipelines::model>> load(bool low_memory = false) const {
    pipelines::device where;
    where.threads = 1;
    where.low_memory = low_memory;
    return lp_engine_instance()->load_image_model(folder_, where);
  }
  void restore() const {
    fs::copy(small_model(), folder_,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    stay_in_files();
  }
  /// As fp32, which the CPU computes with, weights are used where they are mapped.
  void stay_in_files() const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.path().extension() == ".safetensors") all.push_back(entry.path());
    }
    for (const auto& file : all) ASSERT_TRUE(convert_weights(file, file, "fp32"));
  }
  void lose_all() const {
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.path().extension() != ".safetensors") continue;
      ASSERT_EQ(::truncate(entry.path().c_str(), 0), 0);
    }
  }

  const fs::path folder_ = copy_of_small_model("kept");
};

TEST_F(kept_model_test, a_run_whose_files_go_away_fails_and_the_next_load_draws_again) {
  auto model = load().value();
  const auto picture = drawn(*model->start(job()).value());
  ASSERT_TRUE(picture) << render(picture.error());
  auto run = model->start(job()).value();
  auto beside = model->start(job()).value();
  ASSERT_TRUE(run->step());
  ASSERT_TRUE(beside->step());
  EXPECT_TRUE(model->usable());
  lose_all();
  pipelines::run* const others[] = {beside.get()};
  const auto together = run->step_with(others);
  EXPECT_FALSE(together[0]);
  EXPECT_FALSE(together[1]);
  const auto lost = drawn(*run);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ec::load_failed);
  EXPECT_THAT(lost.error().message, HasSubstr(".safetensors can no longer be read"));
  EXPECT_FALSE(model->usable());
  EXPECT_FALSE(model->start(job()));

  const auto gone = load();
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ec::bad_file);
  restore();
  // The old model is still held: nothing of it is shared with the new one.
  const auto again = load().value();
  EXPECT_TRUE(again->usable());
  const auto after = drawn(*again->start(job()).value());
  ASSERT_TRUE(after) << render(after.error());
  EXPECT_EQ(*after->files.front().data, *picture->files.front().data);
}

TEST_F(kept_model_test, parts_that_are_loaded_for_each_use_are_missed_as_such) {
  auto model = load(true).value();
  fs::remove_all(folder_ / "text_encoder");
  const auto started = model->start(job());
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ec::load_failed);
  EXPECT_THAT(started.error().message, HasSubstr("text_encoder"));
}

}  // namespace
}  // namespace lp::engine
