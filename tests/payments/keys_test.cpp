// SPDX-License-Identifier: MIT
#include "payments/keys.hpp"

#include <gtest/gtest.h>

#include "payments/keccak.hpp"

namespace lp::payments {
namespace {

// The first key of the well-known development phrase.
constexpr const char* dev_key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

private_key dev() {
  return std::move(*private_key::from_hex(dev_key));
}

TEST(keccak, is_ethereums_and_not_sha3) {
  EXPECT_EQ(keccak256("").hex(),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  EXPECT_EQ(keccak256("foo").hex(),
            "41b1a0649752af1b28b3dc29a1556eee781e4a4c3a1f7f53f90fa834de098c4d");
  EXPECT_EQ(keccak256({"f", "", "oo"}), keccak256("foo"));
  EXPECT_EQ(keccak256(std::string(300, 'x')),
            keccak256({std::string(136, 'x'), std::string(164, 'x')}));
}

TEST(keccak, hmac_is_that_of_rfc_4231) {
  EXPECT_EQ(hmac_sha256("Jefe", {"what do ya want ", "for nothing?"}).hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(address, carries_the_checksum_of_eip_55) {
  for (const char* text :
       {"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        "0x52908400098527886E0F7030069857D2E4169EE7"}) {
    const auto a = parse_address(text, "sender");
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(to_text(*a), text);
    EXPECT_EQ(parse_address("0x" + a->hex(), "sender").value(), *a);
    EXPECT_EQ(parse_address(a->hex(), "sender").value(), *a);
  }
}

TEST(address, refuses_a_mistyped_digit) {
  for (const char* text :
       {"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeA",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", "", "0x",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAg0"}) {
    const auto a = parse_address(text, "sender");
    ASSERT_FALSE(a) << text;
    EXPECT_EQ(a.error().code, ec::bad_request);
    EXPECT_EQ(a.error().message.find("sender"), 0U);
  }
}

TEST(keys, know_their_address) {
  EXPECT_EQ(to_text(dev().address()), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
}

TEST(keys, sign_and_recover) {
  const private_key key = private_key::generate();
  for (int i = 0; i < 50; ++i) {
    const hash32 message = keccak256(std::to_string(i));
    const signature s = key.sign_message(message);
    EXPECT_TRUE(s.bytes[64] == 27 || s.bytes[64] == 28);
    EXPECT_LT(s.bytes[32], 0x80);
    EXPECT_EQ(recover_message(message, s).value(), key.address());
    EXPECT_NE(recover(message, s).value_or(address{}), key.address());
  }
  EXPECT_NE(private_key::generate().address(), key.address());
}

TEST(keys, personal_messages_have_their_length_in_front) {
  const hash32 message = keccak256("foo");
  EXPECT_EQ(personal_digest(message), personal_digest(message.view()));
  EXPECT_EQ(personal_digest("hello"), keccak256("\x19"
                                                "Ethereum Signed Message:\n5hello"));
}

TEST(keys, signatures_have_one_form) {
  const private_key key = dev();
  const hash32 message = keccak256("foo");
  const signature good = key.sign_message(message);
  const auto why = [&](signature s) {
    const auto who = recover_message(message, s);
    return who ? std::string("accepted") : who.error().message;
  };
  signature s = good;
  for (const int v : {0, 1, 26, 29, 255}) {
    s.bytes[64] = static_cast<std::uint8_t>(v);
    EXPECT_EQ(why(s), "signature v value must be 27 or 28");
  }
  // n - s with the other v is the same signature again; only the smaller s is allowed.
  const auto high = from_hex<signature>(
      "e742ff452d41413616a5bf43fe15dd88294e983d3d36206c2712f39083d638bde0a0fc89be718fbc1033e1d30d78"
      "be1c68081562ed2e97af876f286f3453231d1b",
      "signature");
  EXPECT_EQ(why(*high), "signature s value too high");
  EXPECT_NE(why(signature{}), "accepted");
  s = good;
  std::fill(s.bytes.begin(), s.bytes.begin() + 32, std::uint8_t{0xff});
  EXPECT_NE(why(s), "accepted");
  for (const std::size_t length : {0U, 64U, 66U}) {
    const auto parsed = parse_signature(std::string(length, 'x'));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message.find("invalid signature length"), 0U);
  }
}

TEST(keys, take_only_numbers_of_the_curve) {
  EXPECT_FALSE(private_key::from_bytes(std::string(32, '\0')));
  EXPECT_FALSE(private_key::from_bytes(std::string(32, '\xff')));
  EXPECT_FALSE(private_key::from_bytes(std::string(31, '\1')));
  EXPECT_TRUE(private_key::from_bytes(std::string(32, '\1')));
  const auto bad = private_key::from_hex("not a key");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message.find("not a key"), std::string::npos);
}

TEST(keys, wipe_the_secret_they_gave_away) {
  private_key a = dev();
  const private_key b = std::move(a);
  const std::string wiped(32, '\0');
  EXPECT_EQ(a.secret(), wiped);  // NOLINT(bugprone-use-after-move): that is the point
  EXPECT_EQ(b.clone().secret(), b.secret());
}

}  // namespace
}  // namespace lp::payments
