// SPDX-License-Identifier: MIT
#include "payments/chain/ticket_broker.hpp"

#include "payments/chain/abi.hpp"

namespace lp::payments {

namespace {

// (recipient, sender, faceValue, winProb, senderNonce, recipientRandHash, auxData)
#define LP_TICKET_TUPLE "(address,address,uint256,uint256,uint256,bytes32,bytes)"

abi::value tuple_of(const ticket& t) {
  return abi::value::of_tuple({t.recipient, t.sender, t.face_value, t.win_prob, u256(t.nonce),
                               t.recipient_rand_hash, abi::value::of_bytes(aux_data(t.made))});
}

address address_of(const hash32& topic) {
  return from_bytes<address>(topic.view().substr(12), "topic").value();
}

}  // namespace

result<sender_info> ticket_broker::sender(const payments::address& who, time_point deadline) const {
  const auto out = view("getSenderInfo(address)", {who}, deadline);
  if (!out) return fail(out.error());
  const abi::reader r(*out, "getSenderInfo");
  const auto deposit = r.number(0);
  const auto round = r.small_number(1);
  const auto reserve = r.number(2);
  const auto claimed = r.number(3);
  if (!claimed) return fail(claimed.error());
  if (!round) return fail(round.error());
  return sender_info{*deposit, *reserve, *claimed, *round};
}

result<u256> ticket_broker::claimable_reserve(const payments::address& holder,
                                              const payments::address& claimant,
                                              time_point deadline) const {
  return number("claimableReserve(address,address)", {holder, claimant}, deadline);
}

result<bool> ticket_broker::is_used(const hash32& ticket_hash, time_point deadline) const {
  const auto n = number("usedTickets(bytes32)", {ticket_hash}, deadline);
  if (!n) return fail(n.error());
  return *n != 0;
}

result<hash32> ticket_broker::ticket_hash(const ticket& t, time_point deadline) const {
  const auto out = view("getTicketHash(" LP_TICKET_TUPLE ")", {tuple_of(t)}, deadline);
  if (!out) return fail(out.error());
  return abi::reader(*out, "getTicketHash").word(0);
}

result<std::uint64_t> ticket_broker::validity_period(time_point deadline) const {
  return small_number("ticketValidityPeriod()", {}, deadline);
}

result<std::uint64_t> ticket_broker::unlock_period(time_point deadline) const {
  return small_number("unlockPeriod()", {}, deadline);
}

message_call ticket_broker::fund(const u256& deposit, const u256& reserve) const {
  // A sum beyond 2^256 wei is more than there is; the node refuses it as such.
  const u256 total = to_u256(integer(deposit) + integer(reserve), "sum").value_or(max_u256());
  return call("fundDepositAndReserve(uint256,uint256)", {deposit, reserve}, total);
}

message_call ticket_broker::redeem(const redeemable_ticket& t) const {
  return call("redeemWinningTicket(" LP_TICKET_TUPLE ",bytes,uint256)",
              {tuple_of(t.content), abi::value::of_bytes(t.signed_by_sender.view()),
               abi::value(t.recipient_rand)});
}

message_call ticket_broker::redeem_many(const std::vector<redeemable_ticket>& tickets) const {
  std::vector<abi::value> contents, signatures, rands;
  for (const redeemable_ticket& t : tickets) {
    contents.push_back(tuple_of(t.content));
    signatures.push_back(abi::value::of_bytes(t.signed_by_sender.view()));
    rands.emplace_back(t.recipient_rand);
  }
  return call("batchRedeemWinningTickets(" LP_TICKET_TUPLE "[],bytes[],uint256[])",
              {abi::value::of_array(contents), abi::value::of_array(signatures),
               abi::value::of_array(rands)});
}

std::vector<redeemed_ticket> ticket_broker::redeemed(const std::vector<event_log>& logs) const {
  static const hash32 transfer = abi::topic("WinningTicketTransfer(address,address,uint256)");
  static const hash32 redemption =
      abi::topic("WinningTicketRedeemed(address,address,uint256,uint256,uint256,uint256,bytes)");
  std::vector<redeemed_ticket> out;
  // The contract tells of the transfers, if any, before the redemption they belong to.
  integer paid = 0;
  for (const event_log& e : logs) {
    if (e.contract != this->address() || e.topics.size() != 3) continue;
    const abi::reader data(e.data, "event");
    if (e.topics[0] == transfer) {
      if (const auto amount = data.number(0)) paid += integer(*amount);
    } else if (e.topics[0] == redemption) {
      redeemed_ticket r;
      r.sender = address_of(e.topics[1]);
      r.recipient = address_of(e.topics[2]);
      r.face_value = data.number(0).value_or(0);
      r.nonce = data.small_number(2).value_or(0);
      r.recipient_rand = data.word(3).value_or(hash32());
      r.paid = to_u256(paid, "paid").value_or(0);
      paid = 0;
      out.push_back(std::move(r));
    }
  }
  return out;
}

}  // namespace lp::payments
