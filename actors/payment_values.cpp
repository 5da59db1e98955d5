// SPDX-License-Identifier: MIT
#include "actors/payment_values.hpp"

namespace lp::actors {

namespace {

using payments::hash32;

template <class To, std::size_t N>
To as(const std::array<std::uint8_t, N>& from) {
  To out;
  out.bytes = from;
  return out;
}

payments::u256 number(const wire::word& w) {
  return payments::to_u256(as<hash32>(w));
}

}  // namespace

payments::ticket_params to_params(const wire::ticket_terms_value& t) {
  payments::ticket_params out;
  out.recipient = as<payments::address>(t.recipient);
  out.face_value = number(t.face_value);
  out.win_prob = number(t.win_prob);
  out.recipient_rand_hash = as<hash32>(t.recipient_rand_hash);
  out.seed = number(t.seed);
  out.expiration_block = t.expiration_block;
  out.made = {t.creation_round, as<hash32>(t.creation_round_block_hash)};
  return out;
}

wire::ticket_terms_value to_wire(const payments::ticket_params& p) {
  wire::ticket_terms_value out;
  out.recipient = p.recipient.bytes;
  out.face_value = payments::to_bytes32(p.face_value).bytes;
  out.win_prob = payments::to_bytes32(p.win_prob).bytes;
  out.recipient_rand_hash = p.recipient_rand_hash.bytes;
  out.seed = payments::to_bytes32(p.seed).bytes;
  out.expiration_block = static_cast<std::uint64_t>(p.expiration_block);
  out.creation_round = p.made.round;
  out.creation_round_block_hash = p.made.block_hash.bytes;
  return out;
}

payments::payment to_payment(const wire::payment_value& p) {
  payments::payment out;
  out.params = to_params(p.terms);
  out.sender = as<payments::address>(p.sender);
  out.expected_price = payments::rational(p.price.wei, p.price.units);
  for (const wire::ticket_value& t : p.tickets) {
    out.tickets.push_back({t.sender_nonce, as<payments::signature>(t.signature)});
  }
  return out;
}

payments::price to_price(const wire::price_value& p) {
  return {payments::rational(p.wei, p.units)};
}

result<wire::price_value> to_wire(const payments::price& p, const std::string& model) {
  const auto fraction = payments::to_fraction(p);
  if (!fraction) return fail(fraction.error());
  return wire::price_value{fraction->wei, fraction->units, 0, model};
}

wire::Authorisation to_wire(const payments::job_authorization& a) {
  wire::Authorisation out;
  out.set_sender(a.sender.str());
  out.set_max_charge(payments::to_minimal_bytes(a.max_charge));
  out.set_expires_at(a.expires_at);
  out.set_signature(a.sig.str());
  return out;
}

}  // namespace lp::actors
