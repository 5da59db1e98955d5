// SPDX-License-Identifier: MIT
// Terms: who signs them, how long they hold, what gateways make of them.
#include <gtest/gtest.h>

#include "payments/sqlite.hpp"
#include "tests/paid/market.hpp"

namespace lp::testing {
namespace {

using outcome = actors::settlement::outcome;
using payments::rational;

template <class T>
std::string says(const result<T>& r) {
  return r ? "fine" : render(r.error());
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class terms : public ::testing::Test {
 protected:
  wire::TermsRequest ask() { return gateway.wallet->ask("orch", "noop", "noop", gateway.now_ms); }
  result<void> take(const wire::TermsRequest& asked, const wire::Terms& t) {
    return gateway.wallet->take("orch", asked, t, gateway.now_ms);
  }
  static wire::Terms changed(const wire::Terms& t,
                             const std::function<void(wire::TermsBody&)>& change) {
    wire::TermsBody body;
    EXPECT_TRUE(body.ParseFromString(t.body()));
    change(body);
    wire::Terms out = t;
    out.set_body(body.SerializeAsString());
    return out;
  }
  void pass(milliseconds time) {
    orch.now_ms += time.count();
    gateway.now_ms += time.count();
  }

  scratch_folder folder;
  seller orch{folder.path(), "orch", "80 gwei"};
  seller other{folder.path(), "other", "80 gwei"};
  buyer gateway{folder.path()};
};

TEST_F(terms, are_taken_only_as_the_orchestrator_signed_them) {
  const auto asked = ask();
  const wire::Terms good = *orch.terms(asked);
  EXPECT_TRUE(contains(says(take(asked, changed(good, [](auto& b) { b.set_life_ms(1 << 30); }))),
                       "not of the address"));
  EXPECT_FALSE(take(asked, changed(good, [](auto& b) {
                      b.mutable_info()->mutable_price_info()->set_priceperunit(1);
                    })));
  EXPECT_FALSE(take(asked, changed(good, [](auto& b) {
                      b.mutable_info()->mutable_price_info()->set_priceperunit(-1);
                    })));
  wire::Terms unsigned_terms = good;
  unsigned_terms.set_signature(std::string(64, 's'));
  EXPECT_TRUE(contains(says(take(asked, unsigned_terms)), "signature"));
  wire::Terms noise;
  noise.set_body("\xff\xff\xff");
  EXPECT_FALSE(take(asked, noise));
  EXPECT_TRUE(take(asked, good));
}

TEST_F(terms, of_an_earlier_question_or_another_party_are_no_answer) {
  const auto first = ask();
  const wire::Terms old = *orch.terms(first);
  EXPECT_TRUE(contains(says(take(ask(), old)), "answered something else"));
  // The other orchestrator cannot answer what was asked of this one.
  EXPECT_TRUE(contains(says(other.terms(ask())), "not of the sender"));
  auto forged = ask();
  forged.set_sender(std::string(20, '\1'));
  EXPECT_FALSE(orch.terms(forged));
  forged = ask();
  forged.set_challenge("short");
  EXPECT_FALSE(orch.terms(forged));
}

TEST_F(terms, bind_the_connection_to_one_address) {
  ASSERT_TRUE(gateway.get_terms(orch));
  // Somebody else under the same name, on the same connection.
  const scratch_folder elsewhere;
  seller impostor(elsewhere.path(), "orch", "1");
  const auto asked = ask();
  const auto taken = take(asked, *impostor.terms(asked));
  EXPECT_TRUE(contains(says(taken), "now signs as")) << says(taken);
  EXPECT_EQ(taken.error().code, ec::unauthorized);
  // A new connection may lead to a new key.
  gateway.wallet->peer_down("orch", gateway.now_ms);
  const auto again = ask();
  EXPECT_TRUE(take(again, *impostor.terms(again)));
}

TEST_F(terms, of_whoever_was_found_by_its_address_are_signed_by_that_address) {
  const scratch_folder elsewhere;
  actors::purse_options options;
  options.expected = [this](const std::string&) { return other.desk->address(); };
  buyer careful(elsewhere.path(), std::move(options));
  const auto refused = careful.get_terms(orch);
  EXPECT_TRUE(contains(says(refused), "signs as " + to_text(orch.desk->address())))
      << says(refused);
  EXPECT_EQ(refused.error().code, ec::unauthorized);
  EXPECT_EQ(says(careful.get_terms(other)), "fine");
}

TEST_F(terms, end_with_the_blocks_of_their_tickets) {
  ASSERT_TRUE(gateway.get_terms(orch));
  EXPECT_TRUE(gateway.wallet->has_terms("orch", "noop", "noop", gateway.now_ms));
  gateway.blocks_ahead = 36;
  EXPECT_TRUE(gateway.wallet->has_terms("orch", "noop", "noop", gateway.now_ms));
  gateway.blocks_ahead = 38;
  EXPECT_FALSE(gateway.wallet->has_terms("orch", "noop", "noop", gateway.now_ms))
      << "tickets live for 40 blocks";
}

TEST_F(terms, an_orchestrator_drops_tickets_that_are_over_as_blocks_come) {
  const auto kept = [&] {
    auto db = payments::sqlite::database::open(folder.path() / "orch.sqlite", true).value();
    return db->scalar("SELECT sum(length(tickets)) FROM payments");
  };
  ASSERT_TRUE(gateway.trade(orch, "1"));
  orch.finish(gateway, "1", 1);
  EXPECT_GT(kept(), 0);
  pass(milliseconds(12'000 * 41));
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto left = orch.account(gateway.wallet->address()).credit;
  EXPECT_EQ(kept(), 0);
  EXPECT_TRUE(orch.money->audit(true).value().ok());
  EXPECT_EQ(orch.account(gateway.wallet->address()).credit, left);
}

TEST_F(terms, end) {
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto job = gateway.pay(orch, "1");
  ASSERT_TRUE(job);
  pass(seconds(290));
  EXPECT_TRUE(gateway.wallet->has_terms("orch", "noop", "noop", gateway.now_ms));
  pass(seconds(20));
  EXPECT_FALSE(gateway.wallet->has_terms("orch", "noop", "noop", gateway.now_ms));
  pass(std::chrono::minutes(30));
  const auto late = orch.admit(*job);
  ASSERT_FALSE(late);
  EXPECT_EQ(orch.account(gateway.wallet->address()).credit, 0);
}

TEST_F(terms, tickets_of_parameters_that_are_over_are_refused_as_expired) {
  ASSERT_TRUE(gateway.get_terms(orch));
  pass(std::chrono::minutes(9));  // more than 40 blocks; authorisations live longer
  gateway.now_ms -= std::chrono::milliseconds(std::chrono::minutes(9)).count();
  auto job = gateway.pay(orch, "1");
  ASSERT_TRUE(job);
  EXPECT_EQ(orch.admit(*job).error().code, ec::payment_expired) << says(orch.admit(*job));
}

TEST_F(terms, a_price_raised_meanwhile_does_not_touch_what_was_promised) {
  ASSERT_TRUE(gateway.get_terms(orch));
  orch.prices->replace(price_of("1600 gwei"));
  ASSERT_EQ(says(gateway.trade(orch, "1")), "fine");
  EXPECT_EQ(orch.account(gateway.wallet->address()).reserved, rational(80'000'000'000));
  orch.finish(gateway, "1", 0);
  gateway.settle(orch, "1", outcome::returned, 0);
  ASSERT_EQ(says(gateway.trade(orch, "2")), "fine") << "from credit, by the terms it was given";
  EXPECT_EQ(orch.account(gateway.wallet->address()).reserved, rational(80'000'000'000));
  orch.finish(gateway, "2", 1);
  gateway.settle(orch, "2", outcome::delivered, 1);
  // Afterwards the new price, if the gateway wants it.
  gateway.caps->replace(price_of("100 gwei"));
  pass(seconds(400));
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto job = gateway.pay(orch, "3");
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().code, ec::over_budget);
  gateway.caps->replace(price_of("2000 gwei"));
  EXPECT_EQ(says(gateway.trade(orch, "3")), "fine");
}

TEST_F(terms, a_request_may_say_what_it_pays_at_most) {
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto job = gateway.pay(orch, "1", {*payments::parse_money("79 gwei")});
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().message,
            "the job costs 80000000000 wei at orchestrator orch; max_price is 79000000000");
  EXPECT_TRUE(gateway.pay(orch, "1", {*payments::parse_money("80 gwei")}));
  EXPECT_EQ(gateway.pay(orch, "2", {*payments::parse_money("1 usd")}).error().code,
            ec::bad_request);
}

TEST_F(terms, a_free_job_needs_no_tickets_and_an_unfree_one_no_excuse) {
  seller gratis(folder.path(), "gratis", "0");
  ASSERT_EQ(says(gateway.trade(gratis, "1")), "fine");
  EXPECT_EQ(says(gratis.admit(noop_job("2"))), "fine");
  EXPECT_EQ(orch.admit(noop_job("3")).error().code, ec::payment_required);
}

TEST_F(terms, an_empty_deposit_buys_nothing) {
  orch.funds.emplace();
  orch.funds->reserve = 1'000'000'000'000'000'000;
  auto stated = orch.terms(ask());
  ASSERT_FALSE(stated);
  EXPECT_EQ(stated.error().code, ec::payment_required);
  EXPECT_TRUE(contains(stated.error().message, "deposit")) << stated.error().message;
  orch.funds->deposit = 1'000'000'000'000'000'000;
  orch.funds->reserve = 0;
  EXPECT_TRUE(contains(says(orch.terms(ask())), "reserve"));
  // Emptied after the terms were given.
  orch.funds->reserve = 1'000'000'000'000'000'000;
  ASSERT_TRUE(gateway.get_terms(orch));
  const auto job = gateway.pay(orch, "1");
  ASSERT_TRUE(job) << says(job);
  orch.funds->deposit = 0;
  EXPECT_EQ(orch.admit(*job).error().code, ec::payment_required);
  EXPECT_EQ(orch.account(gateway.wallet->address()).credit, 0);
  // A gateway that knows of its empty deposit does not even begin.
  gateway.funds.emplace();
  gateway.wallet->drop_terms("orch");
  orch.funds->deposit = 1'000'000'000'000'000'000;
  EXPECT_EQ(gateway.get_terms(orch).error().code, ec::payment_required);
}

TEST_F(terms, nonces_are_bounded_and_new_parameters_bring_new_ones) {
  // 10 tickets a job, 600 nonces: the 61st job finds none left.
  std::size_t jobs = 0;
  for (; jobs < 100; ++jobs) {
    ASSERT_TRUE(gateway.get_terms(orch));
    const std::string id = std::to_string(jobs);
    const auto job = gateway.pay(orch, id);
    if (!job) {
      EXPECT_EQ(job.error().code, ec::payment_expired) << says(job);
      break;
    }
    ASSERT_EQ(says(orch.admit(*job)), "fine");
    orch.finish(gateway, id, 1);
    gateway.settle(orch, id, outcome::delivered, 1);
  }
  EXPECT_EQ(jobs, 60U);
  gateway.wallet->drop_terms("orch");
  EXPECT_EQ(says(gateway.trade(orch, "anew")), "fine");
}

TEST_F(terms, an_orchestrator_that_keeps_jobs_and_money_gets_no_more_than_the_bound) {
  actors::purse_options options;
  options.limits.max_exposure = 1'000'000'000'000;  // a dozen jobs
  const scratch_folder elsewhere;
  buyer careful(elsewhere.path(), options);
  const auto who = orch.desk->address();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(careful.get_terms(orch)) << i;
    const auto job = careful.pay(orch, std::to_string(i));
    if (careful.wallet->suspended_until(who) > careful.now_ms) {
      EXPECT_EQ(job.error().code, ec::payment_required) << "it is not chosen again";
      careful.now_ms += 700'000;  // the next try comes after the suspension
      orch.now_ms += 700'000;
      continue;
    }
    if (job) (void)orch.admit(*job);  // and then silence
    careful.now_ms += 700'000;
    orch.now_ms += 700'000;
    careful.wallet->expire(careful.now_ms);
  }
  const rational paid = orch.account(careful.wallet->address()).credit +
                        orch.account(careful.wallet->address()).reserved;
  EXPECT_GT(paid, rational(500'000'000'000)) << "it was tried again, and again";
  EXPECT_LE(paid, rational(1'000'000'000'000 + 8'000'000'001));
  EXPECT_GT(careful.wallet->lost(who), 0);
}

TEST_F(terms, what_was_lost_is_remembered_and_made_good_by_work) {
  ASSERT_TRUE(gateway.trade(orch, "1"));
  gateway.settle(orch, "1", outcome::gone, 0);
  const auto who = orch.desk->address();
  EXPECT_EQ(gateway.wallet->lost(who), rational(80'000'000'000));
  EXPECT_EQ(gateway.wallet->suspended_until(who), 0) << "nodes restart";
  ASSERT_TRUE(gateway.trade(orch, "2"));
  gateway.settle(orch, "2", outcome::delivered, 1);
  EXPECT_EQ(gateway.wallet->lost(who), 0);
  for (const char* id : {"3", "4", "5"}) {
    ASSERT_TRUE(gateway.trade(orch, id));
    gateway.settle(orch, id, outcome::gone, 0);
  }
  EXPECT_GT(gateway.wallet->suspended_until(who), gateway.now_ms) << "but not all the time";
}

TEST_F(terms, an_orchestrator_that_denies_the_credit_is_believed_and_it_counts_as_lost) {
  ASSERT_TRUE(gateway.trade(orch, "1"));
  gateway.settle(orch, "1", outcome::returned, 0);  // the gateway: it failed; orch: it runs still
  gateway.wallet->drop_terms("orch");
  const rational ours = gateway.account(orch).credit;
  const rational theirs = orch.account(gateway.wallet->address()).credit;
  ASSERT_GT(ours, theirs);
  ASSERT_TRUE(gateway.get_terms(orch));
  EXPECT_EQ(gateway.account(orch).credit, theirs);
  EXPECT_EQ(gateway.wallet->lost(orch.desk->address()), ours - theirs);
}

wire::JobRequest job_with_picture(const std::string& facts) {
  wire::JobRequest r;
  r.set_pipeline("image-to-image");
  r.set_model("some");
  r.set_params_json(R"({"prompt": "a dog", "num_inference_steps": 10, "num_images_per_prompt": 1,
                        "image": )" +
                    facts + "}");
  wire::Attachment& a = *r.add_attachments();
  a.set_field("image");
  a.set_size(1000);
  a.set_sha256(std::string(32, 's'));
  return r;
}

TEST(job_terms, what_a_job_is_has_its_files_in_it) {
  const char* facts = R"({"format": "image/png", "width": 8, "height": 9, "bytes": 1000})";
  const wire::JobRequest job = job_with_picture(facts);
  // Large files are pulled later: it is by their digests that they are agreed upon.
  wire::JobRequest other = job;
  other.mutable_attachments(0)->set_sha256(std::string(32, 't'));
  EXPECT_NE(actors::job_digest(other), actors::job_digest(job));
  other = job;
  other.mutable_attachments(0)->set_field("mask_image");
  EXPECT_NE(actors::job_digest(other), actors::job_digest(job));
  other = job;
  other.clear_attachments();
  EXPECT_NE(actors::job_digest(other), actors::job_digest(job));
}

TEST(job_terms, the_picture_that_is_paid_for_is_judged_like_a_file) {
  const char* facts = R"({"format": "image/png", "width": 8, "height": 9, "bytes": 1000})";
  EXPECT_EQ(actors::units_of(job_with_picture(facts)).value_or(0), 8U * 9 * 10);
  EXPECT_EQ(says(actors::units_of(job_with_picture("{}"))).find("bad_request"), 0U);
  const char* huge = R"({"format": "image/png", "width": 90000, "height": 9, "bytes": 1000})";
  EXPECT_TRUE(contains(says(actors::units_of(job_with_picture(huge))), "image_size") ||
              contains(says(actors::units_of(job_with_picture(huge))), "wrong parameter"));
}

}  // namespace
}  // namespace lp::testing
