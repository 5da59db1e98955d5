// SPDX-License-Identifier: MIT
#include "payments/sender.hpp"

namespace lp::payments {

namespace {

tl::unexpected<error> refuse(std::string why) {
  return fail(ec::payment_required, std::move(why));
}

std::string whole(const rational& value) {
  return floor(value).str();
}

}  // namespace

result<void> check_offer(const ticket_params& offer, const address& expected,
                         const chain_view& view, const std::optional<sender_funds>& funds,
                         const sender_config& config) {
  if (offer.recipient != expected) {
    return refuse(fmt::format("ticketParams are of {}, not of {}", to_text(offer.recipient),
                              to_text(expected)));
  }
  if (offer.expiration_block == 0) return refuse("ticketParams expiration block is 0");
  if (integer(offer.expiration_block) - integer(view.l1_block) <= 1) {
    return fail(ec::payment_expired,
                fmt::format("TicketParams expired: valid to block {}, now is {}",
                            to_text(offer.expiration_block), view.l1_block));
  }
  const rational ev = expected_value(offer);
  if (ev <= 0) return refuse("ticketParams: expected tickets with a value above 0");
  // A ticket that wins every time is a cheque: the reference refuses it as too small a face value.
  if (ev >= rational(integer(offer.face_value))) {
    return refuse(fmt::format("ticket faceValue too low: {} wei for an expected value of {}",
                              to_text(offer.face_value), whole(ev)));
  }
  if (ev > rational(integer(config.max_ticket_ev))) {
    return refuse(
        fmt::format("ticket EV {} > max ticket EV {}", whole(ev), to_text(config.max_ticket_ev)));
  }
  if (!funds) return {};
  if (const auto fit = check_funds(*funds, view.round); !fit) return fit;
  const u256 most =
      funds->deposit / (config.deposit_multiplier == 0 ? 1 : config.deposit_multiplier);
  if (offer.face_value > most) {
    return refuse(fmt::format("ticket faceValue {} > max faceValue {}", to_text(offer.face_value),
                              to_text(most)));
  }
  return {};
}

result<void> check_price(const price& now, const price& at_start,
                         const std::optional<price>& max_price) {
  if (now.wei_per_unit < 0) return refuse("price: expected at least 0 wei");
  if (max_price && now.wei_per_unit > max_price->wei_per_unit) {
    return fail(ec::over_budget,
                fmt::format("the price of {} wei a unit is above the most that may be paid, {}",
                            to_text(now), to_text(*max_price)));
  }
  if (now.wei_per_unit > 2 * at_start.wei_per_unit) {
    return fail(ec::over_budget,
                fmt::format("the price of {} wei a unit is more than twice what it was, {}",
                            to_text(now), to_text(at_start)));
  }
  return {};
}

integer tickets_needed(const rational& existing, const rational& needed, const rational& ev) {
  if (existing >= needed) return 0;
  return ceil(rational((needed - existing) / ev));
}

result<std::uint32_t> plan_tickets(const rational& existing, const rational& needed,
                                   const rational& ev, const sender_config& config) {
  if (ev <= 0) return refuse("ticketParams: expected tickets with a value above 0");
  const integer count = tickets_needed(existing, needed, ev);
  const rational total = ev * count;
  if (total > rational(integer(config.max_total_ev))) {
    return fail(ec::over_budget, fmt::format("total ticket EV {} > max total ticket EV {}",
                                             whole(total), to_text(config.max_total_ev)));
  }
  if (count > config.max_nonce) {
    return fail(ec::over_budget,
                fmt::format("the job needs {} tickets, and one set of parameters is good for {}; "
                            "the orchestrator's tickets are worth too little",
                            count.str(), config.max_nonce));
  }
  return static_cast<std::uint32_t>(count);
}

std::vector<ticket_signature> sign_tickets(const private_key& key, const ticket_params& params,
                                           std::uint32_t first_nonce, std::uint32_t count) {
  std::vector<ticket_signature> out;
  out.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t nonce = first_nonce + i;
    out.push_back(
        {nonce, key.sign_message(ticket_hash(make_ticket(params, key.address(), nonce)))});
  }
  return out;
}

}  // namespace lp::payments
