// SPDX-License-Identifier: MIT
#include <optional>
#include <stdexcept>

#include <fmt/core.h>

#include "payments/keccak.hpp"
#include "payments/ticket.hpp"
#include "tools/vector-runner/fields.hpp"
#include "tools/vector-runner/kinds.hpp"

namespace lp::vectors {

namespace {

using namespace payments;

std::uint32_t nonce_field(const json::object& vector, std::string_view name) {
  const std::uint64_t nonce = small_field(vector, name);
  if (nonce > UINT32_MAX) throw std::runtime_error(fmt::format("{}: at most 32 bits", name));
  return static_cast<std::uint32_t>(nonce);
}

ticket ticket_fields(const json::object& vector) {
  ticket t;
  t.recipient = address_field(vector, "recipient");
  t.sender = address_field(vector, "sender");
  t.face_value = number_field(vector, "faceValue");
  t.win_prob = number_field(vector, "winProb");
  t.recipient_rand_hash = hash_field(vector, "recipientRandHash");
  t.made = {small_field(vector, "creationRound"), hash_field(vector, "creationRoundBlockHash")};
  return t;
}

// Absent and null both mean no bound.
std::optional<u256> bound(const json::object& vector, std::string_view name) {
  const json::value* value = vector.if_contains(name);
  if (value == nullptr || value->is_null()) return std::nullopt;
  return number_field(vector, name);
}

void run_ticket(const json::object& lottery, const json::object& vector, comparison& c) {
  ticket t = ticket_fields(lottery);
  t.nonce = nonce_field(vector, "nonce");
  const hash32 rand = to_bytes32(number_field(lottery, "recipientRand"));
  if (rand_hash(rand) != t.recipient_rand_hash) c.failure("recipientRandHash is of another rand");
  const hash32 hash = ticket_hash(t);
  const private_key key = key_field(lottery, "senderKey");
  const signature sig = key.sign_message(hash);
  c.hex("hash", vector.if_contains("hash"), hash.str());
  c.hex("sig", vector.if_contains("sig"), sig.str());
  const auto signer = recover_message(hash, sig);
  if (!signer || *signer != t.sender) c.failure("the signature is not the sender's");
  c.hex("winValue", vector.if_contains("winValue"), to_bytes32(win_value(sig, rand)).str());
  c.flag("wins", vector.if_contains("wins"), wins(t, sig, rand));
}

}  // namespace

void run_ticket_hash(const json::object& vector, comparison& c) {
  ticket t = ticket_fields(vector);
  t.nonce = nonce_field(vector, "senderNonce");
  c.hex("hash", vector.if_contains("hash"), ticket_hash(t).str());
}

void run_aux_data(const json::object& vector, comparison& c) {
  const creation made{small_field(vector, "round"), hash_field(vector, "blockHash")};
  c.hex("aux", vector.if_contains("aux"), aux_data(made));
}

void run_win_probability(const json::object& vector, comparison& c) {
  face_value_rule rule;
  rule.ev = number_field(vector, "EV");
  rule.redeem_gas = number_field(vector, "redeemGas");
  rule.tx_cost_multiplier = nonce_field(vector, "txCostMultiplier");
  rule.gas_price = number_field(vector, "gasPrice");
  rule.max_float = bound(vector, "maxFloat");
  rule.max_face_value = bound(vector, "maxFaceValue");
  const auto value = face_value(rule);
  if (!value) {
    const json::value* expected = vector.if_contains("error");
    if (expected == nullptr) return c.failure(value.error().message);
    const std::string part = text_field(vector, "error");
    const bool found = value.error().message.find(part) != std::string::npos;
    return c.text("error", expected, found ? part : value.error().message);
  }
  if (vector.contains("error")) return c.failure("expected an error");
  c.text("faceValue", vector.if_contains("faceValue"), to_text(*value));
  c.text("winProb", vector.if_contains("winProb"), to_text(win_probability(*value, rule.ev)));
}

void run_recipient_rand(const json::object& vector, comparison& c) {
  ticket_params params;
  params.seed = number_field(vector, "seed");
  params.face_value = number_field(vector, "faceValue");
  params.win_prob = number_field(vector, "winProb");
  params.expiration_block = number_field(vector, "expirationBlock");
  const std::string aux = bytes_field(vector, "auxData");
  if (!aux.empty()) {
    if (aux.size() != 64) throw std::runtime_error("auxData: expected 0 or 64 bytes");
    const auto round = u256_from_bytes(aux.substr(0, 32), "auxData");
    if (!round || *round > UINT64_MAX) throw std::runtime_error("auxData: the round is too large");
    params.made = {static_cast<std::uint64_t>(*round),
                   *from_bytes<hash32>(aux.substr(32), "auxData")};
  }
  const hash32 rand = recipient_rand(hash_field(vector, "secret"), address_field(vector, "sender"),
                                     params, price_field(vector, "price"));
  c.hex("recipientRand", vector.if_contains("recipientRand"), rand.str());
  c.hex("recipientRandHash", vector.if_contains("recipientRandHash"), rand_hash(rand).str());
}

void run_lottery(const std::string& kind, const json::object& lottery, const reporter& report) {
  const json::value* tickets = lottery.if_contains("tickets");
  if (tickets == nullptr || !tickets->is_array() || tickets->get_array().empty()) {
    return report(kind, {verdict::state::failed, "expected a list \"tickets\""});
  }
  std::size_t at = 0;
  for (const json::value& entry : tickets->get_array()) {
    comparison c;
    std::string name = fmt::format("{}[{}]", kind, at++);
    try {
      if (!entry.is_object()) throw std::runtime_error("expected an object");
      name = fmt::format("{} nonce {}", kind, text_field(entry.get_object(), "nonce"));
      run_ticket(lottery, entry.get_object(), c);
    } catch (const std::exception& e) {
      c.failure(e.what());
    }
    report(name, c.result());
  }
}

}  // namespace lp::vectors
