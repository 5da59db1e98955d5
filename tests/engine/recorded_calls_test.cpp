// SPDX-License-Identifier: MIT
// When calls are recorded and how many recordings are kept; how is for GPUs alone.
#include "pipelines/engine/cuda/recorded_calls.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace lp::engine {
namespace {

/// What was done with the calls.
struct journal {
  int recorded = 0;
  int played = 0;
  int alive = 0;
  bool refuse = false;
};

/// Plays a call back by computing it, as a graph would.
class fake_recording final : public recorded_call {
 public:
  fake_recording(network_call network, journal& notes)
      : network_(std::move(network)), notes_(notes) {
    ++notes_.alive;
  }
  ~fake_recording() override { --notes_.alive; }
  at::Tensor play(const std::vector<at::Tensor>& inputs) override {
    ++notes_.played;
    return network_(inputs);
  }

 private:
  network_call network_;
  journal& notes_;
};

class fake_recorder final : public call_recorder {
 public:
  explicit fake_recorder(journal& notes) : notes_(notes) {}
  std::shared_ptr<recorded_call> record(const network_call& network,
                                        const std::vector<at::Tensor>& /*inputs*/) override {
    if (notes_.refuse) return nullptr;
    ++notes_.recorded;
    return std::make_shared<fake_recording>(network, notes_);
  }

 private:
  journal& notes_;
};

class recorded_calls_test : public ::testing::Test {
 protected:
  /// The sum of what is defined: 2 for ones of any shape.
  at::Tensor call(std::int64_t rows, std::int64_t side = 8) {
    const auto network = [this](const std::vector<at::Tensor>& in) {
      ++computed;
      EXPECT_FALSE(in.at(1).defined());
      return in.at(0) + in.at(2);
    };
    const auto ones = at::ones({rows, 4, side, side});
    auto out = calls(network, {ones, at::Tensor(), ones});
    EXPECT_TRUE(at::equal(out, ones * 2));
    return out;
  }
  void call_often(std::int64_t rows, int times) {
    for (int i = 0; i < times; ++i) call(rows);
  }

  journal notes;
  int computed = 0;
  recorded_calls calls{std::make_unique<fake_recorder>(notes)};
};

TEST_F(recorded_calls_test, a_shape_is_recorded_when_it_comes_again_and_again) {
  call_often(2, recorded_calls::plain_calls);
  EXPECT_EQ(notes.recorded, 0);
  call(2);
  EXPECT_EQ(notes.recorded, 1);
  EXPECT_EQ(notes.played, 1);
  call_often(2, 5);
  EXPECT_EQ(notes.recorded, 1);
  EXPECT_EQ(notes.played, 6);
}

TEST_F(recorded_calls_test, every_shape_has_its_own) {
  for (int i = 0; i <= recorded_calls::plain_calls; ++i) {
    call(2);
    call(4);
    call(2, 16);
  }
  EXPECT_EQ(notes.recorded, 3);
  EXPECT_EQ(calls.recorded(), 3U);
}

TEST_F(recorded_calls_test, the_one_not_used_for_longest_goes) {
  constexpr auto enough = recorded_calls::plain_calls + 1;
  const auto most = static_cast<std::int64_t>(recorded_calls::most_recorded);
  for (std::int64_t rows = 1; rows <= most; ++rows) call_often(rows, enough);
  call(1);  // so that 2 is the oldest
  call_often(most + 1, enough);
  EXPECT_EQ(notes.alive, most);
  const int before = notes.recorded;
  call(1);
  EXPECT_EQ(notes.recorded, before) << "it was used, so it stayed";
  call_often(2, enough);
  EXPECT_EQ(notes.recorded, before + 1) << "it had gone";
  EXPECT_EQ(calls.recorded(), recorded_calls::most_recorded);
}

TEST_F(recorded_calls_test, shapes_without_end_take_no_memory_without_end) {
  const auto many = static_cast<std::int64_t>(recorded_calls::most_known) * 2;
  for (std::int64_t rows = 1; rows <= many; ++rows) call(rows);
  call_often(1, recorded_calls::plain_calls);
  EXPECT_EQ(notes.recorded, 0) << "the first one's count was dropped";
}

TEST_F(recorded_calls_test, what_cannot_be_recorded_is_computed_and_not_tried_again) {
  notes.refuse = true;
  call_often(2, 5);
  EXPECT_EQ(computed, 5);
  notes.refuse = false;
  call_often(2, 5);
  EXPECT_EQ(notes.recorded, 0);
}

TEST_F(recorded_calls_test, forgotten_ones_give_their_memory_back) {
  call_often(2, 4);
  calls.forget();
  EXPECT_EQ(notes.alive, 0);
  call_often(2, recorded_calls::plain_calls);
  EXPECT_EQ(notes.recorded, 1);
  call(2);
  EXPECT_EQ(notes.recorded, 2);
}

TEST(recorded_calls, without_a_recorder_computes_all) {
  recorded_calls calls(nullptr);
  int computed = 0;
  for (int i = 0; i < 5; ++i) {
    calls(
        [&](const std::vector<at::Tensor>& in) {
          ++computed;
          return in.front();
        },
        {at::ones({1})});
  }
  EXPECT_EQ(computed, 5);
}

}  // namespace
}  // namespace lp::engine
