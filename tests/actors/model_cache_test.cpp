// SPDX-License-Identifier: MIT
// A worker's cache as an actor: loads that come late.
#include "actors/model_cache.hpp"

#include <atomic>
#include <future>
#include <memory>

#include <gtest/gtest.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/errors.hpp"
#include "pipelines/model.hpp"

namespace lp::actors {
namespace {

constexpr std::chrono::seconds patience{20};

struct settings : caf::actor_system_config {
  settings() { add_message_types<caf::id_block::lp_actors>(); }
};

class idle_model : public pipelines::model {
 public:
  std::uint64_t bytes() const override { return 1; }
  result<std::unique_ptr<pipelines::run>> start(const pipelines::job_input& /*input*/) override {
    return fail(ec::internal, "never started");
  }
};

class model_cache_test : public testing::Test {
 protected:
  ~model_cache_test() override { anon_send_exit(cache, caf::exit_reason::user_shutdown); }

  model_cache_actor cache_with_timeout(milliseconds timeout) {
    model_cache_options o;
    o.node = "worker";
    o.budget = 100;
    o.load = [this](const std::string&) -> result<model_lease> {
      if (released.wait_for(patience) != std::future_status::ready) {
        return fail(ec::internal, "the test never released the load");
      }
      return model_lease(std::make_shared<idle_model>());
    };
    o.estimate = [](const std::string&) { return std::uint64_t{7}; };
    o.timeout = [timeout](std::uint64_t bytes) {
      EXPECT_EQ(bytes, 7U);
      return timeout;
    };
    return spawn_model_cache(system, caf::actor_cast<caf::strong_actor_ptr>(owner), std::move(o));
  }

  result<model_lease> acquire() {
    result<model_lease> out = fail(ec::internal, "no answer");
    owner->request(cache, patience, acquire_atom_v, std::string("slow"))
        .receive([&](const model_lease& model) { out = model; },
                 [&](const caf::error& e) { out = fail(from_caf(e, "acquiring")); });
    return out;
  }

  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  settings config;
  caf::actor_system system{config};
  caf::scoped_actor owner{system};
  model_cache_actor cache;
};

TEST_F(model_cache_test, a_load_beyond_its_deadline_fails_for_those_who_wait_and_is_kept) {
  cache = cache_with_timeout(milliseconds(20));
  const auto late = acquire();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ec::load_failed);
  EXPECT_EQ(late.error().message, "slow has not loaded within 0.02 s, which its size allows for");

  release.set_value();
  owner->receive(
      [](warm_atom, const warm_models_ptr& warm) { EXPECT_EQ(warm->by_id.count("slow"), 1U); });
  EXPECT_TRUE(acquire());
}

TEST_F(model_cache_test, a_load_within_its_deadline_is_no_failure) {
  cache = cache_with_timeout(std::chrono::hours(1));
  release.set_value();
  EXPECT_TRUE(acquire());
}

TEST_F(model_cache_test, a_model_whose_files_were_replaced_is_loaded_again) {
  model_cache_options o;
  o.budget = 100;
  int loads = 0;
  std::atomic<bool> replaced{false};
  o.load = [&](const std::string&) -> result<model_lease> {
    ++loads;
    replaced = false;
    return model_lease(std::make_shared<idle_model>());
  };
  o.outdated = [&](const std::string&) { return replaced.load(); };
  o.estimate = [](const std::string&) { return std::uint64_t{7}; };
  cache = spawn_model_cache(system, caf::actor_cast<caf::strong_actor_ptr>(owner), std::move(o));
  const auto first = acquire();
  ASSERT_TRUE(first);
  EXPECT_EQ(acquire().value(), *first);
  replaced = true;
  const auto second = acquire();
  ASSERT_TRUE(second);
  EXPECT_NE(*second, *first);
  EXPECT_EQ(acquire().value(), *second);
  EXPECT_EQ(loads, 2);
}

TEST(load_timeout, grows_with_the_bytes) {
  EXPECT_EQ(load_timeout(0), std::chrono::minutes(1));
  EXPECT_EQ(load_timeout(4'000'000'000), std::chrono::minutes(1) + std::chrono::seconds(200));
}

}  // namespace
}  // namespace lp::actors
