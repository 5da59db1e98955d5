// SPDX-License-Identifier: MIT
#include "payments/chain/transaction.hpp"

#include <vector>

#include "payments/chain/rlp.hpp"
#include "payments/keccak.hpp"

namespace lp::payments {

namespace {

constexpr char type_2 = 0x02;

std::vector<std::string> fields_of(const transaction& t) {
  return {rlp::of_number(t.chain_id),
          rlp::of_number(t.nonce),
          rlp::of_number(t.max_priority_fee),
          rlp::of_number(t.max_fee),
          rlp::of_number(t.gas_limit),
          rlp::of_bytes(t.to ? t.to->view() : std::string_view()),
          rlp::of_number(t.value),
          rlp::of_bytes(t.data),
          rlp::of_list({})};  // no access list
}

}  // namespace

signed_transaction sign(const transaction& t, const private_key& key) {
  std::vector<std::string> fields = fields_of(t);
  const signature s = key.sign(keccak256(type_2 + rlp::of_list(fields)));
  const std::string_view bytes = s.view();
  fields.push_back(rlp::of_number(u256(s.bytes[64] - 27U)));
  for (const std::size_t part : {0U, 32U}) {
    // r and s are numbers: no leading zeros. 32 bytes always fit.
    fields.push_back(rlp::of_number(u256_from_bytes(bytes.substr(part, 32), "signature").value()));
  }
  signed_transaction out;
  out.raw = type_2 + rlp::of_list(fields);
  out.hash = keccak256(out.raw);
  return out;
}

address created_address(const address& creator, std::uint64_t nonce) {
  const hash32 h =
      keccak256(rlp::of_list({rlp::of_bytes(creator.view()), rlp::of_number(u256(nonce))}));
  return from_bytes<address>(h.view().substr(12), "address").value();
}

}  // namespace lp::payments
