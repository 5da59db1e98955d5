// SPDX-License-Identifier: MIT
#include "actors/worker_pool.hpp"

#include <gtest/gtest.h>

namespace lp::actors {
namespace {

const time_point now{};

wire::WorkerState worker(const std::string& name, bool warm, unsigned slots = 1) {
  wire::WorkerState w;
  w.set_node(name);
  w.set_slots(slots);
  wire::Offer& o = *w.add_offers();
  o.set_pipeline("p");
  o.set_model("m");
  o.set_warm(warm);
  return w;
}

pooled_job job(const std::string& id, seconds left = seconds(10)) {
  return {id, "p", "m", now + left, {}};
}

std::string next(worker_pool& pool) {
  const auto a = pool.next();
  return a ? a->job + "@" + a->worker : "none";
}

TEST(worker_pool, gives_jobs_to_warm_workers_first_and_in_order) {
  worker_pool pool("orch", 10);
  pool.update(worker("cold", false));
  pool.update(worker("warm", true));
  for (const char* id : {"1", "2", "3"}) ASSERT_TRUE(pool.admit(job(id)));
  EXPECT_EQ(next(pool), "1@warm");
  EXPECT_EQ(next(pool), "2@cold");
  EXPECT_EQ(next(pool), "none");
  EXPECT_EQ(pool.finish("1"), "warm");
  EXPECT_EQ(next(pool), "3@warm");
}

TEST(worker_pool, spreads_over_workers_with_several_slots) {
  worker_pool pool("orch", 10);
  pool.update(worker("a", true, 2));
  pool.update(worker("b", true, 2));
  for (const char* id : {"1", "2"}) ASSERT_TRUE(pool.admit(job(id)));
  const std::string first = next(pool);
  const std::string second = next(pool);
  EXPECT_NE(first.substr(2), second.substr(2));
}

TEST(worker_pool, refuses_over_the_bound_of_its_queue) {
  worker_pool pool("orch", 1);
  pool.update(worker("a", true));
  ASSERT_TRUE(pool.admit(job("1")));
  EXPECT_EQ(next(pool), "1@a");
  ASSERT_TRUE(pool.admit(job("2")));
  EXPECT_EQ(pool.admit(job("3")).error().code, ec::busy);
  pool.finish("2");
  EXPECT_TRUE(pool.admit(job("3")));
}

TEST(worker_pool, refuses_what_no_worker_offers_what_it_has_and_when_it_drains) {
  worker_pool pool("orch", 10);
  EXPECT_EQ(pool.admit(job("1")).error().code, ec::gone);
  pool.update(worker("a", true));
  ASSERT_TRUE(pool.admit(job("1")));
  EXPECT_EQ(pool.admit(job("1")).error().code, ec::bad_request);
  pool.drain();
  EXPECT_EQ(pool.admit(job("2")).error().code, ec::draining);
  EXPECT_FALSE(pool.idle());
  EXPECT_EQ(next(pool), "1@a");
  pool.finish("1");
  EXPECT_TRUE(pool.idle());
}

TEST(worker_pool, a_dead_workers_job_goes_to_another_before_waiting_ones) {
  worker_pool pool("orch", 10);
  pool.update(worker("a", true));
  ASSERT_TRUE(pool.admit(job("1")));
  EXPECT_EQ(next(pool), "1@a");
  ASSERT_TRUE(pool.admit(job("2")));
  pool.update(worker("b", false));
  const auto orphans = pool.remove("a");
  ASSERT_EQ(orphans, std::vector<std::string>{"1"});
  EXPECT_TRUE(pool.retry("1"));
  EXPECT_EQ(next(pool), "1@b");
}

TEST(worker_pool, a_job_is_given_up_when_every_worker_refused_it) {
  worker_pool pool("orch", 10);
  pool.update(worker("a", true));
  ASSERT_TRUE(pool.admit(job("1")));
  EXPECT_EQ(next(pool), "1@a");
  EXPECT_FALSE(pool.retry("1"));
  EXPECT_TRUE(pool.idle());
  EXPECT_EQ(next(pool), "none");
}

TEST(worker_pool, forgets_waiting_jobs_whose_time_is_over) {
  worker_pool pool("orch", 10);
  pool.update(worker("a", true));
  ASSERT_TRUE(pool.admit(job("1")));
  EXPECT_EQ(next(pool), "1@a");
  ASSERT_TRUE(pool.admit(job("2", seconds(1))));
  ASSERT_TRUE(pool.admit(job("3", seconds(60))));
  EXPECT_EQ(pool.expire(now + seconds(2)), std::vector<std::string>{"2"});
  EXPECT_TRUE(pool.expire(now + seconds(2)).empty());
  pool.finish("1");
  EXPECT_EQ(next(pool), "3@a");
}

TEST(worker_pool, cancelling_a_waiting_job_names_no_worker) {
  worker_pool pool("orch", 10);
  pool.update(worker("a", true));
  ASSERT_TRUE(pool.admit(job("1")));
  EXPECT_EQ(pool.finish("1"), std::nullopt);
  EXPECT_EQ(next(pool), "none");
  EXPECT_EQ(pool.finish("unknown"), std::nullopt);
}

TEST(worker_pool, announces_the_sum_of_its_workers) {
  const auto price = [](const std::string&, const std::string&) { return std::string("5/2"); };
  worker_pool pool("orch", 10);
  pool.update(worker("a", false, 2));
  pool.update(worker("b", true, 3));
  for (const char* id : {"1", "2"}) ASSERT_TRUE(pool.admit(job(id)));
  (void)pool.next();
  const wire::Announcement a = pool.announce(price);
  EXPECT_EQ(a.node(), "orch");
  EXPECT_EQ(a.slots(), 5U);
  EXPECT_EQ(a.running(), 1U);
  EXPECT_EQ(a.queued(), 1U);
  ASSERT_EQ(a.offers_size(), 1);
  EXPECT_TRUE(a.offers(0).warm());
  EXPECT_EQ(a.offers(0).price_per_unit(), "5/2");
  EXPECT_GT(pool.announce(price).version(), a.version());
}

}  // namespace
}  // namespace lp::actors
