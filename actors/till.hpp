// SPDX-License-Identifier: MIT
// An orchestrator's side of payments: states terms, checks what a job brings, charges for what was
// done. No CAF; time is an argument: milliseconds of steady_time. Safe from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "actors/terms.hpp"
#include "payments/chain_view.hpp"
#include "payments/ledger.hpp"
#include "payments/price_list.hpp"
#include "payments/recipient.hpp"
#include "runtime/base/clock.hpp"

namespace lp::actors {

/// What is known of the chain now, for a sender: without a chain its blocks alone.
struct chain_state {
  payments::chain_view view;
  std::optional<payments::sender_funds> funds;
};
using chain_lookup = std::function<result<chain_state>(const payments::address& sender)>;

struct till_options {
  party me;
  std::string uri;  ///< where the node listens, for the terms
  payments::recipient_config tickets;
  milliseconds terms_life{300'000};
};

class till {
 public:
  /// `money` must end before this does: its last callbacks come here.
  till(till_options options, payments::private_key key,
       std::shared_ptr<const payments::price_book> prices, payments::ledger& money,
       chain_lookup chain);

  const payments::address& address() const { return key_.address(); }
  const std::string& node() const { return options_.me.node; }

  /// Terms for the gateway that signed the request. ec::unauthorized for a wrong signature,
  /// ec::payment_required where its funds do not suffice.
  result<wire::Terms> state_terms(const wire::TermsRequest& r, std::int64_t now_ms) const;

  /// A job whose payment is in order as far as that can be told without the ledger.
  struct checked {
    payments::admission order;
    payments::price agreed;
    std::uint64_t units = 0;
  };

  /// Checks the job's authorisation and its payment or terms, against the price that they carry and
  /// that is authenticated by them; nothing for a job that is free. Costs about 40 us a signature.
  /// ec::bad_request, payment_required, payment_expired, unauthorized, over_budget.
  result<std::optional<checked>> check(const wire::JobRequest& r, std::int64_t now_ms) const;

  /// Takes the tickets and sets the job's whole price aside. `done`, from the ledger's thread once
  /// that is on disk: the job's name for settle().
  void admit(checked c, std::function<void(result<std::string>)> done);

  /// Ends an admitted job: charges `units`, at most those quoted, and gives back the rest.
  void settle(const std::string& name, double units);

 private:
  struct open_job {
    payments::account_key account;
    std::string job;
    payments::price agreed;
    std::uint64_t units;
  };

  void forget_old(std::uint64_t l1_block, std::int64_t now_ms) const;
  void tell_skew(const wire::TermsRequest& r, std::int64_t now_ms) const;
  result<bool> is_free(const wire::JobRequest& r) const;
  result<payments::price> price_in_terms(const wire::JobRequest& r, const std::string& sender,
                                         std::int64_t now_ms) const;

  till_options options_;
  payments::private_key key_;
  std::shared_ptr<const payments::price_book> prices_;
  payments::ledger& money_;
  chain_lookup chain_;
  payments::recipient recipient_;
  mutable std::atomic<std::int64_t> forgotten_ms_{0};  ///< when the ledger was last tidied up
  mutable std::atomic<std::int64_t> told_ms_{0};       ///< when a gateway's clock was told of
  std::mutex mutex_;
  std::map<std::string, open_job> open_;  ///< bounded by the orchestrator's queue
};

}  // namespace lp::actors
