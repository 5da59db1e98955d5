// SPDX-License-Identifier: MIT
#include "pipelines/engine/schedulers/scheduler.hpp"

#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <boost/json.hpp>

#include "pipelines/engine/python_json.hpp"
#include "pipelines/engine/random.hpp"

namespace lp::engine {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json::object sd15(std::string_view extra = "{}") {
  auto config = json::parse(R"({"beta_start": 0.00085, "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "steps_offset": 1, "set_alpha_to_one": false,
    "clip_sample": false})")
                    .as_object();
  const auto more = json::parse(extra);
  for (const auto& [key, value] : more.as_object()) config[key] = value;
  return config;
}

TEST(scheduler, names_what_it_knows) {
  const auto made = make_scheduler(sd15(), "FancyScheduler");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::bad_file);
  EXPECT_THAT(made.error().message, HasSubstr("FancyScheduler"));
  EXPECT_THAT(made.error().message, HasSubstr("DDIMScheduler"));
}

TEST(scheduler, lists_every_wrong_member) {
  const auto made =
      make_scheduler(sd15(R"({"prediction_type": "flow", "steps_offset": "one", "beta_end": 7})"),
                     "DDIMScheduler");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::bad_file);
  for (const auto* name : {"prediction_type", "steps_offset", "beta_end"})
    EXPECT_THAT(made.error().message, HasSubstr(name));
}

TEST(scheduler, refuses_impossible_step_counts_by_name) {
  for (const auto* name : {"DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler",
                           "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler",
                           "UniPCMultistepScheduler", "LCMScheduler", "TCDScheduler"}) {
    auto s = make_scheduler(sd15(R"({"skip_prk_steps": true})"), name).value();
    for (const int steps : {-1, 0, 1001}) {
      const auto r = s->set_timesteps(steps);
      ASSERT_FALSE(r) << name << " " << steps;
      EXPECT_EQ(r.error().code, ec::invalid_parameters);
      EXPECT_THAT(r.error().message, HasSubstr("num_inference_steps"));
    }
    EXPECT_TRUE(s->set_timesteps(1)) << name;
  }
}

TEST(scheduler, pndm_repeats_its_second_time_step) {
  auto s = make_scheduler(sd15(R"({"skip_prk_steps": true})"), "PNDMScheduler").value();
  ASSERT_TRUE(s->set_timesteps(4));
  EXPECT_THAT(s->timesteps(), ElementsAre(751, 501, 501, 251, 1));
}

TEST(scheduler, rounds_time_steps_half_to_even) {
  auto s = make_scheduler(sd15(R"({"timestep_spacing": "linspace", "num_train_timesteps": 1000})"),
                          "DDIMScheduler")
               .value();
  ASSERT_TRUE(s->set_timesteps(3));
  EXPECT_THAT(s->timesteps(), ElementsAre(999, 500, 0));
  auto t = make_scheduler(sd15(R"({"timestep_spacing": "trailing"})"), "DDIMScheduler").value();
  ASSERT_TRUE(t->set_timesteps(16));
  EXPECT_EQ(t->timesteps()[1], 937);  // round(937.5) is 938, less one
  EXPECT_EQ(t->timesteps()[3], 811);  // round(812.5) is 812, less one
}

/// An ideal network for data that is one point: its output leads every sampler to that point.
TEST(scheduler, all_samplers_reach_the_only_point_of_the_data) {
  const auto point = at::linspace(-0.9, 0.9, 48).reshape({1, 3, 4, 4});
  for (const auto* name : {"DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler",
                           "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler",
                           "UniPCMultistepScheduler", "LCMScheduler"}) {
    auto s =
        make_scheduler(sd15(R"({"set_alpha_to_one": true, "skip_prk_steps": true})"), name).value();
    ASSERT_TRUE(s->set_timesteps(12));
    std::vector<at::Generator> noise{seeded_generator(5)};
    const auto start = draw_noise(point.sizes(), noise);
    auto x = s->add_noise(point, start, 0);
    for (std::size_t i = 0; i < s->timesteps().size(); ++i) {
      // add_noise() is linear: what it makes of nothing is the noise's weight.
      const double weight = s->add_noise(at::zeros({1}), at::ones({1}), i).item<double>();
      const double kept = s->add_noise(at::ones({1}), at::zeros({1}), i).item<double>();
      x = s->step((x - point * kept) / weight, i, x, noise);
    }
    EXPECT_LT((x - point).abs().max().item<double>(), 0.02) << name;
  }
}

TEST(scheduler, set_timesteps_forgets_the_last_run) {
  for (const auto* name :
       {"PNDMScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"}) {
    auto s = make_scheduler(sd15(R"({"skip_prk_steps": true})"), name).value();
    std::vector<at::Generator> noise{seeded_generator(9)};
    const auto output = draw_noise({1, 4, 2, 2}, noise);
    const auto once = [&] {
      EXPECT_TRUE(s->set_timesteps(5));
      auto x = at::ones({1, 4, 2, 2});
      for (std::size_t i = 0; i < s->timesteps().size(); ++i) x = s->step(output + x, i, x, noise);
      return x;
    };
    const auto first = once();
    EXPECT_TRUE(at::equal(first, once())) << name;
  }
}

TEST(draw_noise, a_picture_does_not_depend_on_its_batch) {
  std::vector<at::Generator> both{seeded_generator(1), seeded_generator(2)};
  std::vector<at::Generator> second{seeded_generator(2)};
  const auto batch = draw_noise({2, 4, 8, 8}, both);
  EXPECT_TRUE(at::equal(batch.narrow(0, 1, 1), draw_noise({1, 4, 8, 8}, second)));
}

TEST(python_json, takes_infinity_and_nan_outside_of_strings) {
  const auto file = fs::path(::testing::TempDir()) / "scheduler_config.json";
  std::ofstream(file) << R"({"a": -Infinity, "b": "-Infinity \" NaN", "c": NaN})";
  const auto config = read_python_json_file(file);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_LT(config->at("a").as_double(), -1e300);
  EXPECT_EQ(config->at("b").as_string(), "-Infinity \" NaN");
  EXPECT_TRUE(config->at("c").is_null());
}

}  // namespace
}  // namespace lp::engine
