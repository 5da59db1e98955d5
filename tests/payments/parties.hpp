// SPDX-License-Identifier: MIT
// A gateway and an orchestrator for tests, and a folder that goes away with the test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "payments/ledger.hpp"
#include "payments/recipient.hpp"

namespace lp::payments::testing {

class scratch_folder {
 public:
  scratch_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "lp-payments-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline const std::string scope = "27_shapes-64";

/// Who pays and who is paid. The orchestrator's secret is fixed unless a ledger gives one.
struct parties {
  explicit parties(hash32 secret = {}, recipient_config config = {})
      : gateway(private_key::generate()),
        orchestrator(private_key::generate()),
        taker(orchestrator.address(), secret, std::move(config)) {
    view.l1_block = 1000;
    view.round = 5;
  }

  offer_terms terms() const { return {gateway.address(), agreed, scope}; }
  ticket_params offer() const { return taker.offer(terms(), view, {}, 0).value(); }

  payment pay(const ticket_params& params, std::uint32_t first, std::uint32_t count) const {
    return {params, gateway.address(), agreed.wei_per_unit,
            sign_tickets(gateway, params, first, count)};
  }
  checked_payment checked(const ticket_params& params, std::uint32_t first,
                          std::uint32_t count) const {
    return taker.check(pay(params, first, count), scope, view, {}).value();
  }

  job_authorization authorize(const std::string& job, const rational& most,
                              std::int64_t now = 1'000'000) const {
    job_authorization a;
    a.orchestrator = orchestrator.address();
    a.job = job;
    a.scope = scope;
    a.max_charge = to_u256(ceil(most), "charge").value();
    a.expires_at = now + 60;
    sign_authorization(a, gateway);
    return a;
  }
  admission admit(const std::string& job, const rational& quoted,
                  std::optional<checked_payment> paid = {}) const {
    return {authorize(job, quoted), quoted, std::move(paid), 1'000'000};
  }

  account_key incoming() const { return {side::incoming, gateway.address()}; }
  account_key outgoing() const { return {side::outgoing, orchestrator.address()}; }

  private_key gateway;
  private_key orchestrator;
  recipient taker;
  chain_view view;
  price agreed{rational(3, 2)};
};

/// The expected value of one ticket at the default configuration, without the last digits.
inline rational ticket_value(const ticket_params& params) {
  return expected_value(params);
}

}  // namespace lp::payments::testing
