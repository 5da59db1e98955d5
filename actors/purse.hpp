// SPDX-License-Identifier: MIT
// A gateway's side of payments: asks for terms, judges them, pays for jobs and keeps count of what
// orchestrators deliver. No CAF; time is an argument: milliseconds of steady_time. Each
// orchestrator has a time of its own, which its terms tell; what it is sent expires by that. For
// one thread, except where it says so.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "actors/payment_messages.hpp"
#include "actors/terms.hpp"
#include "payments/chain_view.hpp"
#include "payments/ledger.hpp"
#include "payments/price_list.hpp"
#include "payments/sender.hpp"
#include "runtime/base/clock.hpp"

namespace lp::actors {

struct purse_options {
  std::string cluster;
  payments::sender_config limits;
  milliseconds suspension{600'000};
  /// Who has to sign as that node, where it was found by its address; may be empty.
  std::function<std::optional<payments::address>(const std::string& node)> expected{};
};

/// What is known of the chain now: blocks, and the gateway's own funds where there is a chain.
struct own_chain_state {
  payments::chain_view view;
  std::optional<payments::sender_funds> funds;
};
/// `their_ms` is the time of whoever takes the tickets: without a chain, blocks are counted by it.
using own_chain_lookup = std::function<result<own_chain_state>(std::int64_t their_ms)>;

class purse {
 public:
  /// `money` must end before this does: its last callbacks come here.
  purse(purse_options options, payments::private_key key,
        std::shared_ptr<const payments::price_book> caps, payments::ledger& money,
        own_chain_lookup chain);

  const payments::address& address() const { return key_.address(); }

  // --- terms

  /// A signed request for `node`'s terms, with a challenge of its own.
  wire::TermsRequest ask(const std::string& node, const std::string& pipeline,
                         const std::string& model, std::int64_t now_ms) const;

  /// Whether the node has to prove who it is, even if it asks nothing.
  bool must_sign(const std::string& node) const {
    return options_.expected && options_.expected(node).has_value();
  }

  /// Takes the answer to `asked`. ec::bad_request for a malformed one, ec::unauthorized for one
  /// that is not signed by the address it names, is for another request, or comes from another
  /// address than this connection had before; otherwise as check_offer().
  result<void> take(const std::string& node, const wire::TermsRequest& asked, const wire::Terms& t,
                    std::int64_t now_ms);

  /// The price in such an answer, which is not taken: those terms hold that are there.
  result<payments::price> read_price(const std::string& node, const wire::TermsRequest& asked,
                                     const wire::Terms& t) const;

  /// The price in the terms that are there.
  std::optional<payments::price> held_price(const std::string& node, const std::string& pipeline,
                                            const std::string& model) const;

  /// Whether terms are there that will hold for a while.
  bool has_terms(const std::string& node, const std::string& pipeline, const std::string& model,
                 std::int64_t now_ms) const;

  /// The next ask() finds nothing: after a refusal, and when the connection is gone, with which
  /// also the address may change.
  void drop_terms(const std::string& node);
  void forget(const std::string& node);

  // --- jobs

  /// A job that may be paid: its price is within what the gateway and the request allow, and the
  /// orchestrator is not suspended.
  struct plan {
    std::string job;  ///< money_job()
    std::string node;
    payments::address orchestrator;
    payments::price price;
    std::uint64_t units = 0;
    payments::funding order;
    bool free = false;
    bool again = false;           ///< the node refused the job's first payment
    std::int64_t expires_at = 0;  ///< Unix seconds of the orchestrator; of the authorisation
  };

  /// Needs has_terms(). ec::over_budget, ec::payment_required; ec::bad_request for units that make
  /// no sense. `deadline_ms` is the job's, by the same time as `now_ms`.
  result<plan> prepare(const payment_order& order, std::int64_t deadline_ms, std::int64_t now_ms);

  /// Sets the price aside and takes nonces; `done` from the ledger's thread once that is on disk.
  /// Safe from any thread.
  void fund(const plan& p, std::function<void(result<payments::funded>)> done);

  /// Completes the request: tickets, if any are to be sent, and the authorisation. About 40 us a
  /// signature.
  void complete(const plan& p, const payments::funded& f, wire::JobRequest& request);

  /// The plan came to nothing before anything was set aside.
  void drop(const plan& p);

  /// How a job ended; unknown ones and repetitions do nothing.
  void settle(const settlement& s, std::int64_t now_ms);

  /// Jobs whose deadline has long passed are lost.
  void expire(std::int64_t now_ms);
  void peer_down(const std::string& node, std::int64_t now_ms);

  // --- questions

  /// Fills in what a job of q.units would cost at q.node; needs has_terms().
  void fill(quote& q, const std::string& pipeline, std::int64_t now_ms) const;

  /// Until when the orchestrator is not chosen, since 1970; 0: it is.
  std::int64_t suspended_until(const payments::address& orchestrator) const;
  /// Wei that it was paid for and did not deliver.
  payments::rational lost(const payments::address& orchestrator) const;

 private:
  struct held_terms {
    wire::Terms message;
    wire::info_value info;
    payments::price price;
    std::int64_t expires_ms = 0;
    std::int64_t ahead_ms = 0;  ///< the orchestrator's time, over ours
  };
  using terms_key = std::tuple<std::string, std::string, std::string>;  // node, pipeline, model

  struct open_job {
    std::string name;  ///< in the ledger
    std::string node;
    payments::address orchestrator;
    payments::price price;
    std::uint64_t units = 0;
    std::int64_t deadline_ms = 0;
    std::uint64_t terms = 0;  ///< record::taken at that time
  };

  // What an orchestrator has done with what it was paid.
  struct record {
    payments::rational lost;
    unsigned failures = 0;  ///< in a row
    std::int64_t until_ms = 0;
    std::uint64_t taken = 0;  ///< times that it stated terms
    std::uint64_t blamed =
        0;                  ///< `taken` at the last failure: one failure counts once for them all
    bool doubtful = false;  ///< it may hold less than we believe
    std::optional<payments::rational> stated{};  ///< wei that it says it holds, for the next job
  };

  const held_terms* find(const std::string& node, const std::string& pipeline,
                         const std::string& model) const;
  result<void> check_cap(const plan& p, const std::string& pipeline, const std::string& model,
                         const std::vector<payments::money>& max_prices) const;
  result<signed_terms> read_answer(const std::string& node, const wire::TermsRequest& asked,
                                   const wire::Terms& t) const;
  void tell_skew(const std::string& node, std::int64_t ahead_ms);
  result<void> reconcile(const payments::address& who, const std::string& credit);
  std::int64_t suspended_until(const payments::address& who, std::int64_t now_ms) const;
  void blame(const open_job& open, std::int64_t now_ms);
  record& record_of(const payments::address& who) const;
  void lose(const payments::address& who, const payments::rational& amount);
  void suspend(const payments::address& who, std::int64_t now_ms);
  void close(const payments::address& who, const std::string& job, const payments::rational& used);
  void remember(const payments::address& who, const record& r);

  purse_options options_;
  payments::private_key key_;
  std::shared_ptr<const payments::price_book> caps_;
  payments::ledger& money_;
  own_chain_lookup chain_;
  std::map<terms_key, held_terms> terms_;
  std::map<std::string, payments::address> bound_;  ///< node -> address, while it is connected
  std::map<std::string, open_job> open_;            ///< by money_job(id, node)
  std::map<std::string, std::int64_t> told_skew_;   ///< node -> its time over ours, as told last
  mutable std::map<payments::address, record> records_;
};

}  // namespace lp::actors
