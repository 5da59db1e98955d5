// SPDX-License-Identifier: MIT
#include "payments/authorization.hpp"

#include "payments/keccak.hpp"

namespace lp::payments {

namespace {

constexpr std::size_t longest_job = 128;
constexpr std::size_t longest_scope = 512;
constexpr std::int64_t request_window = 60;

std::string number(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(bits >> shift));
  return out;
}

std::string sized(std::string_view value) {
  return number(static_cast<std::int64_t>(value.size())) + std::string(value);
}

tl::unexpected<error> refuse(std::string why) {
  return fail(ec::unauthorized, "authorisation: " + std::move(why));
}

}  // namespace

hash32 authorization_digest(const job_authorization& a) {
  return keccak256({sized("lp-runtime job authorisation 1"), a.sender.view(), a.orchestrator.view(),
                    sized(a.job), sized(a.scope), a.body_hash.view(),
                    to_bytes32(a.max_charge).view(), number(a.expires_at)});
}

void sign_authorization(job_authorization& a, const private_key& key) {
  a.sender = key.address();
  a.sig = key.sign_message(segment_digest(a.scope, 0, authorization_digest(a), ""));
}

result<void> check_authorization(const job_authorization& a, const job_facts& facts,
                                 std::int64_t unix_seconds) {
  if (a.job.empty() || a.job.size() > longest_job) {
    return refuse("expected a job identifier of 1 to 128 bytes");
  }
  if (a.scope.size() > longest_scope) return refuse("the scope is longer than 512 bytes");
  const auto signer =
      recover_message(segment_digest(a.scope, 0, authorization_digest(a), ""), a.sig);
  if (!signer) return refuse(signer.error().message);
  if (*signer != a.sender || a.sender.is_zero()) return refuse("it is not signed by its sender");
  if (a.orchestrator != facts.orchestrator) {
    return refuse(fmt::format("it is for orchestrator {}, not {}", to_text(a.orchestrator),
                              to_text(facts.orchestrator)));
  }
  if (a.job != facts.job) return refuse("it is for another job");
  if (a.scope != facts.scope) return refuse("it is for another pipeline or model");
  if (a.body_hash != facts.body_hash) return refuse("it is for another request body");
  // Whoever signed it may have another time than ours, and learns ours from new terms.
  if (a.expires_at <= unix_seconds) {
    return fail(ec::payment_expired, fmt::format("authorisation: it has expired (by {}, now is {})",
                                                 a.expires_at, unix_seconds));
  }
  if (a.expires_at > unix_seconds + most_authorization_seconds) {
    return fail(ec::payment_expired,
                fmt::format("authorisation: it may be valid for at most {} s (it is until {}, now "
                            "is {})",
                            most_authorization_seconds, a.expires_at, unix_seconds));
  }
  if (facts.quoted > rational(integer(a.max_charge))) {
    return fail(ec::over_budget, fmt::format("the job costs {} wei, and the sender allows {}",
                                             ceil(facts.quoted).str(), to_text(a.max_charge)));
  }
  return {};
}

hash32 segment_digest(std::string_view manifest_id, std::uint64_t sequence, const hash32& hash,
                      std::string_view profiles) {
  return keccak256({manifest_id, to_bytes32(u256(sequence)).view(), hash.view(), profiles});
}

hash32 request_digest(std::string_view purpose, const address& from, const address& to,
                      std::int64_t unix_seconds) {
  return keccak256({sized("lp-runtime request 1"), sized(purpose), from.view(), to.view(),
                    number(unix_seconds)});
}

result<void> check_request(std::string_view purpose, const address& from, const address& to,
                           std::int64_t at, const signature& sig, std::int64_t now) {
  // Without subtracting: `at` may be any number.
  if (at < now - request_window || at > now + request_window) {
    return fail(ec::unauthorized, "the request's time is more than 60 s from now");
  }
  const auto signer = recover_message(request_digest(purpose, from, to, at), sig);
  if (!signer) return fail(ec::unauthorized, signer.error().message);
  if (*signer != from || from.is_zero()) {
    return fail(ec::unauthorized, "the request is not signed by its sender for this orchestrator");
  }
  return {};
}

hash32 session_token(const hash32& secret, std::string_view session_id, std::int64_t expiration) {
  const auto seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(expiration, 0));
  return hmac_sha256(secret.view(), {session_id, to_minimal_bytes(u256(seconds))});
}

result<void> check_session_token(const hash32& secret, std::string_view session_id,
                                 std::int64_t expiration, std::string_view token,
                                 std::int64_t now) {
  if (!equal_in_constant_time(session_token(secret, session_id, expiration).view(), token)) {
    return fail(ec::unauthorized, "the session token is not of this node");
  }
  if (expiration <= now) return fail(ec::unauthorized, "the session token has expired");
  return {};
}

std::string new_session_id() {
  return random_hex(16);
}

}  // namespace lp::payments
