// SPDX-License-Identifier: MIT
// Credentials around a payment. Unlike the reference's they name who they are for, what they cover
// and until when; a job's can be used once (the ledger remembers).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "payments/keys.hpp"
#include "payments/u256.hpp"

namespace lp::payments {

/// A sender's order of one job. It carries the price up to which it may be charged, so that a job
/// paid out of standing credit, without new tickets, has a price that the sender signed.
struct job_authorization {
  address sender;
  address orchestrator;
  std::string job;              ///< the sender's identifier of the job, 1 to 128 bytes
  std::string scope;            ///< "<capability>_<model>"
  hash32 body_hash;             ///< keccak256 of the request's body as sent
  u256 max_charge;              ///< wei for the whole job
  std::int64_t expires_at = 0;  ///< Unix seconds, by the orchestrator's time
  signature sig;
};

/// What the orchestrator knows of the request by itself.
struct job_facts {
  address orchestrator;  ///< itself
  std::string job;
  std::string scope;
  hash32 body_hash;
  rational quoted;  ///< wei for the whole job, at its own price
};

/// Authorisations live at most this long, which bounds what must be remembered of them.
inline constexpr std::int64_t most_authorization_seconds = 600;

/// keccak256 over all fields but the signature, each with its length, behind a text of its own.
/// It names the authorisation: ledger::admit() takes each digest once.
hash32 authorization_digest(const job_authorization& a);

/// Fills in sender and signature. The signature is a personal message over segment_digest(scope, 0,
/// authorization_digest(), ""), so that it fits the reference's SegData (manifestId = scope, hash =
/// the digest).
void sign_authorization(job_authorization& a, const private_key& key);

/// ec::unauthorized, naming the first thing that does not fit: signature, orchestrator, job, scope,
/// body; ec::payment_expired if it is over, or valid for longer than most_authorization_seconds: by
/// new terms the sender learns what time it is here; ec::over_budget if the quoted price is above
/// max_charge. It does not tell whether it was used before.
result<void> check_authorization(const job_authorization& a, const job_facts& facts,
                                 std::int64_t unix_seconds);

/// keccak256(manifest id, sequence as 32 bytes, hash, profiles): what SegData.sig signs.
hash32 segment_digest(std::string_view manifest_id, std::uint64_t sequence, const hash32& hash,
                      std::string_view profiles);

/// What a request for parameters or a quote signs: who asks whom, for what, when. Signed as a
/// personal message.
hash32 request_digest(std::string_view purpose, const address& from, const address& to,
                      std::int64_t unix_seconds);
/// ec::unauthorized unless `sig` is of `from` over request_digest() and `at` is within 60 s of now.
result<void> check_request(std::string_view purpose, const address& from, const address& to,
                           std::int64_t at, const signature& sig, std::int64_t now);

/// HMAC-SHA256(secret, session id, expiration as minimal big-endian): the reference's AuthToken.
hash32 session_token(const hash32& secret, std::string_view session_id, std::int64_t expiration);
/// Compares in constant time; ec::unauthorized if it is another or over.
result<void> check_session_token(const hash32& secret, std::string_view session_id,
                                 std::int64_t expiration, std::string_view token, std::int64_t now);
/// 16 random bytes in hexadecimal, from the operating system.
std::string new_session_id();

}  // namespace lp::payments
