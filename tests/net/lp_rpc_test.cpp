// SPDX-License-Identifier: MIT
#include "net/wire/lp_rpc.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include "runtime/base/bytes.hpp"

namespace lp::wire {
namespace {

std::string from_hex(std::string_view hex) {
  return lp::from_hex(hex).value();
}

// A payment of one ticket as the network's own encoder writes it.
const std::string sample = from_hex(
    "0a6b0a1470997970c51812dc3a010c7d01b50e0d17dc79c81207038d7ea4c680001a20199999999999999999999999"
    "99"
    "999999999999999999999999999999999999992220c65a7bb8d6351c1cf70c95a316cc6a92839c986682d98bc35f95"
    "8f"
    "4883f9d2a82a023039320203e81214f39fd6e51aad88f6f4ce6ab8827279cfffb922661a24080a122041b1a0649752"
    "af"
    "1b28b3dc29a1556eee781e4a4c3a1f7f53f90fa834de098c4d2245080c12412c0713c0cdd7bbef4f67d3f3b8cb992c"
    "d7"
    "2633f759dcb1475871e1734f4359f81433316c5f7233566a3bd37594b406ea4236027006674df6d0e68b76c9bd5edb"
    "1b"
    "2a0408061005");

rpc::Payment good() {
  rpc::Payment p;
  EXPECT_TRUE(p.ParseFromString(sample));
  return p;
}

TEST(lp_rpc, reads_a_payment_of_the_network_and_writes_the_same_bytes) {
  const auto p = read_payment(good());
  ASSERT_TRUE(p) << p.error().message;
  EXPECT_EQ(to_hex({reinterpret_cast<const char*>(p->sender.data()), 20}),
            "f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
  EXPECT_EQ(p->terms.expiration_block, 1000U);
  EXPECT_EQ(p->terms.creation_round, 10U);
  EXPECT_EQ(minimal_bytes(p->terms.seed), from_hex("3039"));
  EXPECT_EQ(minimal_bytes(p->terms.face_value), from_hex("038d7ea4c68000"));
  ASSERT_EQ(p->tickets.size(), 1U);
  EXPECT_EQ(p->tickets[0].sender_nonce, 12U);
  EXPECT_EQ(p->tickets[0].signature.back(), 0x1b);
  EXPECT_EQ(p->price.wei, 6);
  EXPECT_EQ(p->price.units, 5);
  EXPECT_EQ(write_payment(*p).SerializeAsString(), sample);
}

struct spoilt {
  const char* name;
  std::function<void(rpc::Payment&)> spoil;
  const char* says;
};

class lp_rpc_refusals : public ::testing::TestWithParam<spoilt> {};

TEST_P(lp_rpc_refusals, name_the_field) {
  rpc::Payment p = good();
  GetParam().spoil(p);
  rpc::Payment travelled;
  ASSERT_TRUE(travelled.ParseFromString(p.SerializeAsString()));
  const auto read = read_payment(travelled);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ec::bad_request);
  EXPECT_EQ(read.error().message, GetParam().says);
}

const std::string wide(33, '\1');

INSTANTIATE_TEST_SUITE_P(
    every_field, lp_rpc_refusals,
    ::testing::Values(
        spoilt{"no_params", [](auto& p) { p.clear_ticket_params(); },
               "payment.ticket_params: is missing"},
        spoilt{"no_price", [](auto& p) { p.clear_expected_price(); },
               "payment.expected_price: is missing"},
        spoilt{"negative_price", [](auto& p) { p.mutable_expected_price()->set_priceperunit(-6); },
               "payment.expected_price.pricePerUnit: expected at least 1, not -6"},
        spoilt{"zero_price", [](auto& p) { p.mutable_expected_price()->set_priceperunit(0); },
               "payment.expected_price.pricePerUnit: expected at least 1, not 0"},
        spoilt{"zero_units", [](auto& p) { p.mutable_expected_price()->set_pixelsperunit(0); },
               "payment.expected_price.pixelsPerUnit: expected at least 1, not 0"},
        spoilt{"least_units",
               [](auto& p) { p.mutable_expected_price()->set_pixelsperunit(INT64_MIN); },
               "payment.expected_price.pixelsPerUnit: expected at least 1, not "
               "-9223372036854775808"},
        spoilt{"long_model",
               [](auto& p) { p.mutable_expected_price()->set_constraint(std::string(513, 'm')); },
               "payment.expected_price.constraint: expected at most 512 bytes"},
        spoilt{"short_sender", [](auto& p) { p.set_sender(std::string(19, 'x')); },
               "payment.sender: expected 20 bytes, not 19"},
        spoilt{"no_sender", [](auto& p) { p.clear_sender(); },
               "payment.sender: expected 20 bytes, not 0"},
        spoilt{"long_recipient",
               [](auto& p) { p.mutable_ticket_params()->set_recipient(std::string(32, 'x')); },
               "payment.ticket_params.recipient: expected 20 bytes, not 32"},
        spoilt{"wide_face_value", [](auto& p) { p.mutable_ticket_params()->set_face_value(wide); },
               "payment.ticket_params.face_value: expected at most 32 bytes, not 33"},
        spoilt{"padded_face_value",
               [](auto& p) { p.mutable_ticket_params()->set_face_value(std::string("\0\1", 2)); },
               "payment.ticket_params.face_value: expected an integer without leading zeros"},
        spoilt{"wide_win_prob", [](auto& p) { p.mutable_ticket_params()->set_win_prob(wide); },
               "payment.ticket_params.win_prob: expected at most 32 bytes, not 33"},
        spoilt{"wide_seed", [](auto& p) { p.mutable_ticket_params()->set_seed(wide); },
               "payment.ticket_params.seed: expected at most 32 bytes, not 33"},
        spoilt{"short_rand_hash",
               [](auto& p) { p.mutable_ticket_params()->set_recipient_rand_hash("x"); },
               "payment.ticket_params.recipient_rand_hash: expected 32 bytes, not 1"},
        spoilt{
            "overflowing_block",
            [](auto& p) { p.mutable_ticket_params()->set_expiration_block(std::string(9, '\1')); },
            "payment.ticket_params.expiration_block: expected at most 8 bytes, not 9"},
        spoilt{"two_rounds",
               [](auto& p) {
                 p.mutable_ticket_params()->mutable_expiration_params()->set_creation_round(1);
               },
               "payment.ticket_params.expiration_params: expected in payment.expiration_params "
               "only"},
        spoilt{"negative_round",
               [](auto& p) { p.mutable_expiration_params()->set_creation_round(-1); },
               "payment.expiration_params.creation_round: expected at least 0, not -1"},
        spoilt{"short_block_hash",
               [](auto& p) { p.mutable_expiration_params()->set_creation_round_block_hash("abc"); },
               "payment.expiration_params.creation_round_block_hash: expected 32 bytes, not 3"},
        spoilt{"compact_signature",
               [](auto& p) { p.mutable_ticket_sender_params(0)->set_sig(std::string(64, 's')); },
               "payment.ticket_sender_params[0].sig: expected 65 bytes, not 64"},
        spoilt{"too_many_tickets",
               [](auto& p) {
                 for (int i = 0; i < most_tickets; ++i) p.add_ticket_sender_params();
               },
               "payment.ticket_sender_params: expected at most 600 tickets, not 601"}),
    [](const auto& param) { return param.param.name; });

TEST(lp_rpc, an_integer_that_its_wire_type_cannot_hold_does_not_become_another_value) {
  // Field 1 of TicketSenderParams is uint32; this one is 2^32 + 12 as a varint.
  rpc::TicketSenderParams p;
  ASSERT_TRUE(p.ParseFromString(std::string("\x08\x8c\x80\x80\x80\x10", 6)));
  // Protobuf cuts it to 32 bits: it is then the nonce that the signature must be over.
  EXPECT_EQ(p.sender_nonce(), 12U);
  rpc::PriceInfo price;
  EXPECT_FALSE(price.ParseFromString(std::string("\x08") + std::string(11, '\xff')));
}

TEST(lp_rpc, an_orchestrators_info_comes_back_as_it_was) {
  const auto p = read_payment(good());
  ASSERT_TRUE(p);
  info_value i{"127.0.0.1:8935", p->terms.recipient, {7, 3, 27, "shapes-64"}, p->terms};
  const auto back = read_info(write_info(i));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->terms.creation_round_block_hash, i.terms.creation_round_block_hash);
  EXPECT_EQ(back->terms.expiration_block, i.terms.expiration_block);
  EXPECT_EQ(back->price.model, "shapes-64");
  rpc::OrchestratorInfo bad = write_info(i);
  bad.mutable_price_info()->set_priceperunit(-1);
  EXPECT_EQ(read_info(bad).error().message,
            "info.price_info.pricePerUnit: expected at least 0, not -1");
  bad = write_info(i);
  bad.clear_ticket_params();
  EXPECT_EQ(read_info(bad).error().message, "info.ticket_params: is missing");
  bad.mutable_price_info()->set_priceperunit(0);
  EXPECT_TRUE(read_info(bad)) << "what is free needs no tickets";
  bad = write_info(i);
  bad.set_address("short");
  EXPECT_EQ(read_info(bad).error().message, "info.address: expected 20 bytes, not 5");
}

// Parses and writes again; maps of one entry have one order.
template <class M>
std::string rewritten(const std::string& bytes) {
  M m;
  EXPECT_TRUE(m.ParseFromString(bytes));
  EXPECT_TRUE(m.GetReflection()->GetUnknownFields(m).empty()) << "unknown fields";
  return m.SerializeAsString();
}

TEST(lp_rpc, every_recorded_sample_reads_and_writes_the_same_bytes) {
  const std::filesystem::path file =
      std::filesystem::path(LP_SOURCE_DIR) / "../shared/reference/livepeer_vectors.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no further reference material here";
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  const std::map<std::string, std::string (*)(const std::string&)> kinds = {
      {"net.OrchestratorRequest", rewritten<rpc::OrchestratorRequest>},
      {"net.Payment", rewritten<rpc::Payment>},
      {"net.SegData", rewritten<rpc::SegData>},
      {"net.PriceInfo", rewritten<rpc::PriceInfo>},
      {"net.NotifyAIJob", rewritten<rpc::NotifyAIJob>},
      {"net.RegisterAIWorkerRequest", rewritten<rpc::RegisterAIWorkerRequest>}};
  const boost::json::value all = boost::json::parse(text.str());
  for (const auto& s : all.at("protobuf_wire").as_array()) {
    const std::string bytes = from_hex(std::string_view(s.at("hex").as_string()));
    const auto kind = kinds.find(std::string(s.at("message").as_string()));
    ASSERT_NE(kind, kinds.end()) << s.at("message").as_string();
    // A scalar at its default may stand in a sample's maps (a key of 0 or an empty value).
    EXPECT_EQ(kind->second(bytes), bytes) << s.at("name").as_string();
  }
}

}  // namespace
}  // namespace lp::wire
