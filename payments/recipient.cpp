// SPDX-License-Identifier: MIT
#include "payments/recipient.hpp"

#include <algorithm>

#include "payments/keccak.hpp"

namespace lp::payments {

namespace {

constexpr std::size_t nonce_length = 16;
constexpr std::size_t tag_length = 15;

// Each with its length in front: unlike in the HMAC of recipient_rand(), no two lists of values
// have the same bytes.
void append(std::string& out, std::string_view value) {
  const std::uint64_t length = value.size();
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(length >> shift));
  out.append(value);
}

std::string seed_tag(const hash32& key, const ticket_params& params, const address& sender,
                     const price& agreed, std::string_view scope, std::string_view nonce) {
  std::string message;
  append(message, nonce);
  append(message, params.recipient.view());
  append(message, sender.view());
  append(message, to_bytes32(params.face_value).view());
  append(message, to_bytes32(params.win_prob).view());
  append(message, to_bytes32(params.expiration_block).view());
  append(message, aux_data(params.made));
  append(message, to_text(agreed));
  append(message, scope);
  return hmac_sha256(key.view(), {message}).str().substr(0, tag_length);
}

tl::unexpected<error> refuse(std::string why) {
  return fail(ec::payment_required, std::move(why));
}

}  // namespace

recipient::recipient(const address& me, const hash32& node_secret, recipient_config config)
    : me_(me),
      node_secret_(node_secret),
      seed_key_(hmac_sha256(node_secret.view(), {"seeds of ticket parameters"})),
      config_(std::move(config)) {}

// The reference joins integers of any length in its HMAC, so that digits can be moved from one to
// the next: a price of 0x1234/1 and one of 0x12/0x3401 have the same rand. Here the seed, which is
// ours to choose, authenticates every value by itself: 16 random bytes and 15 of an HMAC over all.
u256 recipient::make_seed(const ticket_params& params, const offer_terms& terms,
                          std::string_view nonce) const {
  const std::string bytes = std::string(nonce) + seed_tag(seed_key_, params, terms.sender,
                                                          terms.agreed, terms.scope, nonce);
  return *u256_from_bytes(bytes, "seed");
}

result<ticket_params> recipient::offer(const offer_terms& terms, const chain_view& view,
                                       const std::optional<sender_funds>& funds,
                                       const u256& pending) const {
  if (terms.agreed.wei_per_unit <= 0) {
    return fail(ec::bad_config, "price: expected more than 0 wei where tickets are taken");
  }
  if (terms.sender.is_zero()) return refuse("invalid ticket sender");
  face_value_rule rule;
  rule.ev = config_.ticket_ev;
  rule.redeem_gas = config_.redeem_gas;
  rule.gas_price = view.gas_price;
  rule.average_gas_price = config_.average_gas_price;
  rule.tx_cost_multiplier = config_.tx_cost_multiplier;
  rule.max_face_value = config_.max_face_value;
  if (funds) {
    if (const auto fit = check_funds(*funds, view.round); !fit) return fail(fit.error());
    rule.max_float = max_float(*funds, view.pool_size, pending);
  }
  const auto value = face_value(rule);
  if (!value) return fail(value.error());
  ticket_params out;
  out.recipient = me_;
  out.face_value = *value;
  out.win_prob = win_probability(*value, config_.ticket_ev);
  out.expiration_block = u256(view.l1_block) + config_.params_lifetime;
  out.made = view.last_round;
  out.seed = make_seed(out, terms, random_hash().view().substr(0, nonce_length));
  out.recipient_rand_hash =
      rand_hash(recipient_rand(node_secret_, terms.sender, out, terms.agreed));
  return out;
}

// Is this an offer of ours, unchanged, for this sender and scope?
result<void> recipient::check_origin(const payment& p, std::string_view scope, hash32& rand) const {
  const price agreed{*p.expected_price};
  const std::string seed = to_bytes32(p.params.seed).str();
  const std::string_view nonce = std::string_view(seed).substr(1, nonce_length);
  const std::string tag = seed_tag(seed_key_, p.params, p.sender, agreed, scope, nonce);
  rand = recipient_rand(node_secret_, p.sender, p.params, agreed);
  if (seed[0] != '\0' ||
      !equal_in_constant_time(tag, std::string_view(seed).substr(1 + nonce_length)) ||
      !equal_in_constant_time(rand_hash(rand).view(), p.params.recipient_rand_hash.view())) {
    return refuse(
        "invalid recipientRand for ticket recipientRandHash: the parameters, the price or what it "
        "is for differ from what was offered to this sender");
  }
  return {};
}

result<checked_payment> recipient::check(const payment& p, std::string_view scope,
                                         const chain_view& view,
                                         const std::optional<sender_funds>& funds) const {
  if (p.tickets.empty()) return refuse("a payment needs at least one ticket");
  if (p.tickets.size() > config_.max_tickets) {
    return refuse(fmt::format("a payment may have at most {} tickets, not {}", config_.max_tickets,
                              p.tickets.size()));
  }
  if (!p.expected_price) return refuse("a payment needs a price with pixelsPerUnit above 0");
  if (*p.expected_price <= 0) {
    return refuse(fmt::format("a payment's price has to be above 0, not {}",
                              to_text(*p.expected_price).substr(0, 100)));
  }
  if (funds) {
    if (const auto fit = check_funds(*funds, view.round); !fit) return fail(fit.error());
  }
  if (p.params.recipient != me_) return refuse("invalid ticket recipient");
  if (p.sender.is_zero()) return refuse("invalid ticket sender");
  checked_payment out;
  if (const auto ours = check_origin(p, scope, out.recipient_rand); !ours) {
    return fail(ours.error());
  }
  // Offers are authentic, so that this one was made while the clock, or the chain, was far ahead.
  if (integer(p.params.expiration_block) >
      integer(view.l1_block) + 2 * integer(config_.params_lifetime)) {
    return fail(ec::payment_expired,
                fmt::format("TicketParams are valid to block {}, and now is {}: ask for new ones",
                            to_text(p.params.expiration_block), view.l1_block));
  }
  out.sender = p.sender;
  out.params = p.params;
  out.agreed = price{*p.expected_price};
  out.ev = expected_value(p.params);
  out.l1_block = view.l1_block;
  out.tickets.reserve(p.tickets.size());
  for (const ticket_signature& t : p.tickets) {
    const ticket whole = make_ticket(p.params, p.sender, t.nonce);
    const auto signer = recover_message(ticket_hash(whole), t.sig);
    if (!signer || *signer != p.sender) {
      out.stopped_by = error{ec::payment_required,
                             fmt::format("invalid ticket signature (nonce {}): {}", t.nonce,
                                         signer ? "made by another" : signer.error().message),
                             {}};
      break;
    }
    out.tickets.push_back({t, wins(whole, t.sig, out.recipient_rand)});
  }
  return out;
}

}  // namespace lp::payments
