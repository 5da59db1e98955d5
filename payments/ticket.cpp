// SPDX-License-Identifier: MIT
#include "payments/ticket.hpp"

#include <algorithm>

#include "payments/keccak.hpp"

namespace lp::payments {

namespace mp = boost::multiprecision;

ticket make_ticket(const ticket_params& params, const address& sender, std::uint32_t nonce) {
  return {params.recipient,           sender,     params.face_value, params.win_prob, nonce,
          params.recipient_rand_hash, params.made};
}

std::string aux_data(const creation& made) {
  if (made.round == 0 && made.block_hash.is_zero()) return {};
  return to_bytes32(u256(made.round)).str() + made.block_hash.str();
}

hash32 ticket_hash(const ticket& t) {
  return keccak256({t.recipient.view(), t.sender.view(), to_bytes32(t.face_value).view(),
                    to_bytes32(t.win_prob).view(), to_bytes32(u256(t.nonce)).view(),
                    t.recipient_rand_hash.view(), aux_data(t.made)});
}

u256 win_value(const signature& sig, const hash32& recipient_rand) {
  return to_u256(keccak256({sig.view(), recipient_rand.view()}));
}

bool wins(const ticket& t, const signature& sig, const hash32& recipient_rand) {
  return win_value(sig, recipient_rand) < t.win_prob;
}

hash32 rand_hash(const hash32& recipient_rand) {
  return keccak256(recipient_rand.view());
}

rational expected_value(const u256& face_value, const u256& win_prob) {
  return {integer(face_value) * integer(win_prob), integer(max_u256())};
}

rational expected_value(const ticket_params& params) {
  return expected_value(params.face_value, params.win_prob);
}

hash32 recipient_rand(const hash32& node_secret, const address& sender, const ticket_params& params,
                      const price& p) {
  const auto minimal = [](const integer& value) {
    std::string out;
    if (value > 0) mp::export_bits(value, std::back_inserter(out), 8, true);
    return out;
  };
  return hmac_sha256(
      node_secret.view(),
      {to_minimal_bytes(params.seed), sender.view(), to_minimal_bytes(params.face_value),
       to_minimal_bytes(params.win_prob), to_minimal_bytes(params.expiration_block),
       minimal(mp::numerator(p.wei_per_unit)), minimal(mp::denominator(p.wei_per_unit)),
       aux_data(params.made)});
}

result<u256> face_value(const face_value_rule& rule) {
  const integer ev(rule.ev);
  if (ev == 0) return u256(0);
  const integer cost = integer(rule.redeem_gas) * integer(rule.gas_price);
  const integer usual_cost = integer(rule.redeem_gas) * integer(rule.average_gas_price);
  integer value = cost * rule.tx_cost_multiplier;
  if (value < ev) value = ev * rule.tx_cost_multiplier;
  if (rule.max_float) value = std::min(value, integer(*rule.max_float));
  if (rule.max_face_value) value = std::min(value, integer(*rule.max_face_value));
  if (value < ev || (value < cost && value < usual_cost)) {
    return fail(ec::payment_required,
                fmt::format("insufficient sender reserve: tickets could be worth {} wei at most, "
                            "the expected value is {} and redeeming one costs {}",
                            value.str(), ev.str(), cost.str()));
  }
  return to_u256(value, "face value");
}

u256 win_probability(const u256& face_value, const u256& ev) {
  if (face_value == 0) return 0;
  if (face_value == ev) return max_u256();
  integer quotient, remainder;
  mp::divide_qr(integer(max_u256()), integer(face_value), quotient, remainder);
  const bool up = (remainder & std::numeric_limits<std::uint64_t>::max()) != 0;
  const integer value = integer(ev) * (up ? integer(quotient + 1) : quotient);
  return static_cast<u256>(std::min(value, integer(max_u256())));
}

}  // namespace lp::payments
