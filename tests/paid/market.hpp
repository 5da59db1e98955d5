// SPDX-License-Identifier: MIT
// A gateway's purse and orchestrators' tills on real ledgers, without a network between them, so
// that a test can change what passes from one to the other.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "actors/purse.hpp"
#include "actors/till.hpp"

namespace lp::testing {

/// A folder that goes with it.
class scratch_folder {
 public:
  scratch_folder();
  ~scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::shared_ptr<payments::price_book> price(const std::string& wei_per_unit);
payments::price_list price_of(const std::string& wei_per_unit);

struct buyer;

/// An orchestrator.
struct seller {
  seller(const std::filesystem::path& folder, std::string node, const std::string& wei_per_unit,
         payments::recipient_config tickets = {});

  result<wire::Terms> terms(const wire::TermsRequest& r) { return desk->state_terms(r, now_ms); }
  /// Checks and admits; the name for settling.
  result<std::string> admit(const wire::JobRequest& r);
  /// The job is over: `units` were done.
  void finish(const buyer& by, const std::string& id, double units, bool again = false);
  payments::account account(const payments::address& sender);
  /// As if its process had ended and another one had started, now.
  void restart();

  std::string node;
  std::int64_t now_ms = 1'800'000'000'000;
  std::optional<payments::sender_funds> funds;  ///< what the chain says of every sender
  std::shared_ptr<payments::price_book> prices;
  std::filesystem::path file;
  payments::recipient_config tickets;
  payments::private_key key = payments::private_key::generate();
  std::unique_ptr<actors::till> desk;
  std::unique_ptr<payments::ledger> money;  ///< ends before the till
};

/// A gateway.
struct buyer {
  explicit buyer(const std::filesystem::path& folder, actors::purse_options options = {});

  /// Asks `from` for terms unless they are there.
  result<void> get_terms(seller& from, const std::string& pipeline = "noop");
  /// The job as it would be sent to `to`, paid for.
  result<wire::JobRequest> pay(seller& to, const std::string& id,
                               std::vector<payments::money> max_prices = {}, bool again = false);
  /// get_terms(), pay(), admit().
  result<std::string> trade(seller& with, const std::string& id);
  void settle(seller& with, const std::string& id, actors::settlement::outcome how, double units);
  payments::account account(const seller& at);

  std::int64_t now_ms = 1'800'000'000'000;
  std::uint64_t blocks_ahead = 0;  ///< of what the time says
  std::optional<payments::sender_funds> funds;
  std::shared_ptr<payments::price_book> caps;
  std::unique_ptr<actors::purse> wallet;
  std::unique_ptr<payments::ledger> money;
};

/// The ledger of a node whose data lies in `folder`, for looking only: the node may have it open.
std::unique_ptr<payments::ledger> look_into(const scratch_folder& folder, const std::string& node);

/// A job of one unit.
wire::JobRequest noop_job(const std::string& id);

}  // namespace lp::testing
