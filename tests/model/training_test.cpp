// SPDX-License-Identifier: MIT
// The trainer on a few iterations: losses fall, a run can be taken up again, and what it writes is
// a model that the pipeline loads.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "pipelines/engine/stable_diffusion.hpp"
#include "runtime/base/bytes.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp {
namespace {

namespace fs = std::filesystem;

class training : public ::testing::Test {
 protected:
  training() { fs::create_directories(root_); }
  ~training() override { fs::remove_all(root_); }

  train::options options(const std::string& name) const {
    train::options o;
    o.model = root_ / name / "model";
    o.work = root_ / name / "work";
    o.every = 0;
    o.vae_batch = 6;
    o.diffusion_batch = 8;
    o.drawn = 64;
    fs::create_directories(o.work);
    return o;
  }

  static std::string read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  const fs::path root_ = fs::temp_directory_path() / ("lp-training-" + random_hex(6));
};

TEST_F(training, lowers_the_losses_and_writes_a_model) {
  auto o = options("all");
  o.vae_iterations = 60;
  o.vae_rate = 1e-2;  // the warm-up is longer than this run
  const auto vae = train::train_vae(o);
  ASSERT_TRUE(vae) << render(vae.error());
  EXPECT_EQ(vae->iterations, 60);
  EXPECT_LT(vae->last_loss, 0.85 * vae->first_loss);

  o.decoder_iterations = 6;
  const auto decoder = train::train_decoder(o);
  ASSERT_TRUE(decoder) << render(decoder.error());
  EXPECT_LT(decoder->last_loss, 2 * vae->last_loss);

  o.diffusion_iterations = 60;
  o.diffusion_rate = 5e-3;
  const auto diffusion = train::train_diffusion(o);
  ASSERT_TRUE(diffusion) << render(diffusion.error());
  EXPECT_LT(diffusion->last_loss, 0.9 * diffusion->first_loss);

  o.finish_iterations = 6;
  const auto finish = train::finish_decoder(o);
  ASSERT_TRUE(finish) << render(finish.error());
  EXPECT_EQ(finish->iterations, 6);

  const auto loaded = engine::stable_diffusion::load(o.model);
  ASSERT_TRUE(loaded) << render(loaded.error());
  EXPECT_EQ((*loaded)->usual_size(), 64);
}

TEST_F(training, goes_on_where_it_stopped) {
  auto whole = options("whole"), parts = options("parts");
  whole.vae_iterations = 6;
  ASSERT_TRUE(train::train_vae(whole));
  parts.vae_iterations = 3;
  ASSERT_TRUE(train::train_vae(parts));
  parts.vae_iterations = 6;
  const auto second = train::train_vae(parts);
  ASSERT_TRUE(second) << render(second.error());
  EXPECT_EQ(second->iterations, 3);
  const auto weights = fs::path("vae") / "diffusion_pytorch_model.safetensors";
  EXPECT_EQ(read(whole.model / weights), read(parts.model / weights));
}

TEST_F(training, refuses_a_checkpoint_of_another_network) {
  auto o = options("wrong");
  o.vae_iterations = 1;
  ASSERT_TRUE(train::train_vae(o));
  fs::rename(o.work / "vae.safetensors", o.work / "decoder.safetensors");
  const auto refused = train::train_decoder(o);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::bad_file);
}

}  // namespace
}  // namespace lp
