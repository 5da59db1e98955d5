// SPDX-License-Identifier: MIT
// Encodings of the chain against the examples of their specifications.
#include <gtest/gtest.h>

#include "payments/chain/abi.hpp"
#include "payments/chain/quantity.hpp"
#include "payments/chain/rlp.hpp"
#include "payments/chain/transaction.hpp"
#include "payments/keccak.hpp"

namespace lp::payments {
namespace {

std::string raw(std::string_view hex) {
  return lp::from_hex(hex).value();
}

TEST(rlp, follows_the_examples_of_its_specification) {
  EXPECT_EQ(rlp::of_bytes("dog"),
            "\x83"
            "dog");
  EXPECT_EQ(rlp::of_list({rlp::of_bytes("cat"), rlp::of_bytes("dog")}),
            "\xc8\x83"
            "cat\x83"
            "dog");
  EXPECT_EQ(rlp::of_bytes(""), "\x80");
  EXPECT_EQ(rlp::of_list({}), "\xc0");
  EXPECT_EQ(rlp::of_number(0), "\x80");
  EXPECT_EQ(rlp::of_number(15), "\x0f");
  EXPECT_EQ(rlp::of_number(1024), raw("820400"));
  EXPECT_EQ(rlp::of_bytes(std::string(1, '\0')), std::string(1, '\0'));
  EXPECT_EQ(rlp::of_bytes("\x80"), raw("8180"));
  const std::string lorem = "Lorem ipsum dolor sit amet, consectetur adipisicing elit";
  EXPECT_EQ(rlp::of_bytes(lorem), raw("b838") + lorem);
  EXPECT_EQ(rlp::of_bytes(std::string(300, 'x')).substr(0, 3), raw("b9012c"));
}

TEST(abi, follows_the_examples_of_its_specification) {
  // f(uint256,uint32[],bytes10,bytes) of the specification, with the fixed bytes as a word.
  hash32 fixed;
  std::copy_n("1234567890", 10, fixed.bytes.begin());
  const std::string expected =
      raw("8be65246"
          "0000000000000000000000000000000000000000000000000000000000000123"
          "0000000000000000000000000000000000000000000000000000000000000080"
          "3132333435363738393000000000000000000000000000000000000000000000"
          "00000000000000000000000000000000000000000000000000000000000000e0"
          "0000000000000000000000000000000000000000000000000000000000000002"
          "0000000000000000000000000000000000000000000000000000000000000456"
          "0000000000000000000000000000000000000000000000000000000000000789"
          "000000000000000000000000000000000000000000000000000000000000000d"
          "48656c6c6f2c20776f726c642100000000000000000000000000000000000000");
  EXPECT_EQ(abi::call("f(uint256,uint32[],bytes10,bytes)",
                      {u256(0x123), abi::value::of_array({u256(0x456), u256(0x789)}),
                       abi::value(fixed), abi::value::of_bytes("Hello, world!")}),
            expected);
}

TEST(abi, selects_functions_as_the_deployed_contracts_do) {
  EXPECT_EQ(to_hex(abi::selector("fundDepositAndReserve(uint256,uint256)")), "511f4073");
  EXPECT_EQ(to_hex(abi::selector("redeemWinningTicket((address,address,uint256,uint256,uint256,"
                                 "bytes32,bytes),bytes,uint256)")),
            "ec8b3cb6");
  EXPECT_EQ(abi::topic("Unlock(address,uint256,uint256)").hex().substr(0, 8), "f7870c5b");
}

TEST(abi, reads_words_and_bytes_within_their_bounds) {
  const std::string data = abi::encode({u256(7), abi::value::of_bytes("abc")});
  const abi::reader r(data, "test");
  EXPECT_EQ(r.number(0).value(), 7);
  EXPECT_EQ(r.bytes(1).value(), "abc");
  EXPECT_FALSE(r.number(4));
  EXPECT_FALSE(abi::reader(std::string_view(data).substr(0, 31), "test").number(0));
  for (const u256& offset : {u256(1), u256(96), u256(1) << 63U, max_u256()}) {
    const std::string wrong = abi::encode({offset});
    EXPECT_FALSE(abi::reader(wrong, "test").bytes(0)) << offset;
  }
  const std::string long_length = abi::encode({u256(32), max_u256()});
  EXPECT_FALSE(abi::reader(long_length, "test").bytes(0));
  const std::string one_too_long = abi::encode({u256(32), u256(33), u256(0)});
  EXPECT_FALSE(abi::reader(one_too_long, "test").bytes(0));
}

TEST(abi, tells_why_a_contract_refused) {
  EXPECT_EQ(
      abi::revert_reason(abi::call("Error(string)", {abi::value::of_bytes("ticket is used")})),
      "ticket is used");
  EXPECT_EQ(abi::revert_reason(abi::call("Panic(uint256)", {u256(17)})), "panic 17");
  EXPECT_EQ(abi::revert_reason(""), "");
  EXPECT_EQ(abi::revert_reason(raw("08c379a0ffff")), "");
  EXPECT_EQ(abi::revert_reason(abi::call("Error(string)", {abi::value::of_bytes("a\x1b[2J")})),
            "a?[2J");
}

TEST(quantity, is_written_and_read_without_leading_zeros) {
  EXPECT_EQ(to_quantity(0), "0x0");
  EXPECT_EQ(to_quantity(26), "0x1a");
  EXPECT_EQ(to_quantity(256), "0x100");
  EXPECT_EQ(read_quantity("0x1a", "x").value(), 26);
  EXPECT_EQ(read_quantity(boost::json::value(to_quantity(max_u256())), "x").value(), max_u256());
  for (const char* wrong : {"", "0x", "26", "0xg", "-0x1", "0x 1"}) {
    EXPECT_FALSE(read_quantity(wrong, "x")) << wrong;
  }
  EXPECT_FALSE(read_quantity(26, "x"));
  EXPECT_FALSE(read_number("0x10000000000000000", "x"));
  EXPECT_FALSE(read_data("0x1", "x"));
}

TEST(transaction, has_the_fields_of_eip_1559_in_their_order) {
  const auto key = private_key::from_hex(std::string(63, '0') + "1").value();
  transaction t;
  t.chain_id = 1;
  t.nonce = 3;
  t.max_priority_fee = 2;
  t.max_fee = 300;
  t.gas_limit = 21000;
  t.to = parse_address("0x3535353535353535353535353535353535353535", "to").value();
  t.value = 1'000'000;
  const signed_transaction s = sign(t, key);
  EXPECT_EQ(s.hash, keccak256(s.raw));
  EXPECT_EQ(sign(t, key).raw, s.raw);  // the same each time: nothing random is in it
  EXPECT_TRUE(to_hex(s.raw).starts_with("02f8"));
  EXPECT_EQ(to_hex(s.raw).substr(6, 72),
            "01"
            "03"
            "02"
            "82012c"
            "825208"
            "943535353535353535353535353535353535353535"
            "830f4240"
            "80"
            "c0");
}

TEST(transaction, creates_contracts_at_known_addresses) {
  // The deployer of CryptoKitties and its core contract, nonce 0.
  const auto by = parse_address("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0", "by").value();
  EXPECT_EQ(created_address(by, 0).hex(), "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d");
  EXPECT_EQ(created_address(by, 1).hex(), "343c43a37d37dff08ae8c4a11544c718abb4fcf8");
}

}  // namespace
}  // namespace lp::payments
