// SPDX-License-Identifier: MIT
// What gateway and orchestrator sign for each other, and money as it travels. No CAF. Signatures
// are EIP-191 personal messages over the Keccak-256 of a name of their own and the parts, each with
// its length in front, so that none passes for another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "actors/payment_values.hpp"
#include "net/wire/cluster.pb.h"
#include "payments/authorization.hpp"

namespace lp::actors {

/// Where a signature holds: at one node of one cluster.
struct party {
  std::string cluster;
  std::string node;
};

// --- what is signed

/// Over a request of r.sender to the orchestrator `to`.
payments::hash32 request_digest(const wire::TermsRequest& r, const party& to);
/// Over a TermsBody's bytes.
payments::hash32 terms_digest(std::string_view body);
/// What a job is: its pipeline, model, parameters and files, these by the digests that the worker
/// holds them to. Neither its id nor its time.
payments::hash32 job_digest(const wire::JobRequest& r);
/// Whose signature `bytes` is; ec::bad_request, naming `field`, if it is none.
result<payments::address> signer(const payments::hash32& digest, const std::string& bytes,
                                 const std::string& field);

// --- a job, as the ledgers know it

/// The job at that orchestrator: a job that went on to another one is another job, and so is one
/// that is paid for again where its first payment was refused.
std::string money_job(const std::string& id, const std::string& node, bool again = false);
/// What tickets are bought for.
std::string scope_of(const std::string& pipeline, const std::string& model);
/// Billing units by the pipeline's description; ec::bad_request for a pipeline or parameters that
/// make no sense. All is checked again: the sender may be anybody. That the files are what the
/// parameters say of them shows where they are, at the worker.
result<std::uint64_t> units_of(const wire::JobRequest& r);
/// Whole billing units of what a pipeline counts in doubles: rounded up, 0 to 2^53.
std::uint64_t whole_units(double units);

// --- what travels

/// With the job and the scope that the request says and `orchestrator`; ec::bad_request for a
/// malformed field. The signature is not checked.
result<payments::job_authorization> read_authorisation(const wire::JobRequest& r,
                                                       const std::string& job,
                                                       const payments::address& orchestrator);

/// An orchestrator's terms whose signature is its own.
struct signed_terms {
  wire::TermsBody body;
  wire::info_value info;
  payments::address signer;    ///< equal to info.address
  std::int64_t stated_ms = 0;  ///< the orchestrator's time when it stated them, since 1970
};
/// ec::bad_request for what is malformed or of an impossible time, ec::unauthorized if info.address
/// did not sign it.
result<signed_terms> read_terms(const wire::Terms& t);
wire::Terms sign_terms(const wire::TermsBody& body, const payments::private_key& key);

}  // namespace lp::actors
