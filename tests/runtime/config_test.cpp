// SPDX-License-Identifier: MIT
#include "runtime/config.hpp"

#include <gtest/gtest.h>

#include "tests/cluster.hpp"

namespace lp::runtime {
namespace {

result<config> parse(const std::string& text) {
  return parse_config(text, "f.toml", ".");
}

std::string mistake(const std::string& text) {
  const auto c = parse(text);
  if (c) return "no error";
  EXPECT_EQ(c.error().code, ec::bad_config);
  return c.error().message;
}

const char* const small = R"(
[[orchestrator]]
name = "o"
listen = "127.0.0.1:0"
[[worker]]
name = "w"
orchestrator = "o"
)";

TEST(config, fills_in_defaults) {
  const auto c = parse(small);
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->cluster, "local");
  EXPECT_EQ(c->workers.at(0).slots, 8U);
  EXPECT_EQ(c->workers.at(0).device.name(), "cpu");
  EXPECT_EQ(c->catalogue.at(0).model, "noop");
}

TEST(config, the_effective_configuration_reads_back_as_itself) {
  const auto c = parse(testing::noop_cluster(
      0, "slots = 3\nmemory = \"2 GiB\"\nmemory_limit = \"3 GiB\"\nlow_memory = true",
      "job_timeout = \"90s\""));
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->workers.at(0).memory, 2ULL << 30);
  EXPECT_EQ(c->workers.at(0).memory_limit, 3ULL << 30);
  EXPECT_TRUE(c->workers.at(0).low_memory);
  EXPECT_EQ(c->gateways.at(0).job_timeout, seconds(90));
  const std::string text = to_toml(*c);
  const auto again = parse(text);
  ASSERT_TRUE(again) << again.error().message << "\n" << text;
  EXPECT_EQ(to_toml(*again), text);
}

TEST(config, reads_prices_as_numbers_and_as_texts) {
  const auto c = parse(std::string(small) + R"(
[payments]
ticket_ev = "0.00002 usd"
max_exposure = 5e13
[payments.rates]
usd = 2500.5
[[orchestrator]]
name = "p"
listen = "127.0.0.1:0"
price_per_unit = 0.1
[[orchestrator.price]]
model = "m"
sender = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
amount = "1.5e-3 usd"
units = 1_000_000
[[gateway]]
name = "g"
http = "127.0.0.1:0"
orchestrators = ["p"]
[[gateway.max_price]]
amount = 7
)");
  ASSERT_TRUE(c) << c.error().message;
  const auto& rules = c->orchestrators.at(1).prices;
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].amount.amount, payments::rational(1, 10));
  EXPECT_EQ(rules[1].sender, "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
  EXPECT_EQ(rules[1].units, 1'000'000U);
  EXPECT_EQ(c->gateways.at(0).max_prices.at(0).amount.amount, 7);
  EXPECT_EQ(c->payments.ticket_ev, payments::rational(7'998'400'319));
  EXPECT_EQ(c->payments.max_exposure, payments::rational(50'000'000'000'000));
  const std::string text = to_toml(*c);
  const auto again = parse(text);
  ASSERT_TRUE(again) << again.error().message << "\n" << text;
  EXPECT_EQ(to_toml(*again), text);
}

struct wrong {
  const char* text;
  const char* says;
};

class config_mistakes : public ::testing::TestWithParam<wrong> {};

TEST_P(config_mistakes, name_file_line_and_key) {
  EXPECT_EQ(mistake(GetParam().text).substr(0, std::string(GetParam().says).size()),
            GetParam().says);
}

INSTANTIATE_TEST_SUITE_P(
    all, config_mistakes,
    ::testing::Values(
        wrong{"a = [", "f.toml:1: "},
        wrong{"log = \"info\"\nlgo = 1", "f.toml:2: top level: lgo: unknown key; known: "},
        wrong{"log = 3", "f.toml:1: top level: log: expected a text in quotes"},
        wrong{"log = \"loud\"", "f.toml:1: top level: log: expected debug, info, warn"},
        wrong{"[cluster]\nid = 7", "f.toml:2: [cluster] id: expected a text"},
        wrong{"[cluster]\ndrain_timeout = \"soon\"", "f.toml:2: [cluster] drain_timeout: expected"},
        wrong{"[cluster]\n[cluster.tls]\nkey = \"k\"",
              "f.toml:2: [cluster.tls] certificate: is mis"},
        wrong{"[models]\ndir = \"nowhere\"", "f.toml:2: [models] dir: there is no folder nowhere"},
        wrong{"[models.default]\nfly = \"x\"", "f.toml:2: [models.default] fly: is no pipeline"},
        wrong{"[[gateway]]\nhttp = \"127.0.0.1:1\"", "f.toml:1: [[gateway]] name: is missing"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\n"
              "orchestrators = [\"127.0.0.1:9\", \"10.0.0.7:9935\"]",
              "f.toml:4: [[gateway]] orchestrators: 10.0.0.7:9935 lies beyond this host"},
        wrong{"[[worker]]\nname = \"w\"\norchestrator = \"orch.example:9935\"",
              "f.toml:3: [[worker]] orchestrator: orch.example:9935 lies beyond this host"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"here\"", "f.toml:3: [[gateway]] http: expected"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:70000\"",
              "f.toml:3: [[gateway]] http"},
        wrong{
            "[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\norchestrators = [\"127.0.0.1:2\"]\n"
            "bodies = \"1 MiB\"",
            "f.toml:5: [[gateway]] bodies: expected at least max_body"},
        wrong{
            "[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\norchestrators = [\"127.0.0.1:2\"]\n"
            "cors_origins = [\"https://a.example/\"]",
            "f.toml:5: [[gateway]] cors_origins: expected \"*\" or an origin"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\norchestrators = \"o\"",
              "f.toml:4: [[gateway]] orchestrators: expected a list of texts"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\norchestrators = [\"x\"]",
              "f.toml:4: [[gateway]] orchestrators: there is no orchestrator \"x\""},
        wrong{"[[orchestrator]]\nname = \"o\"\nlisten = \"0.0.0.0:1\"",
              "f.toml:3: [[orchestrator]] listen: beyond this host nodes speak mutual TLS only"},
        wrong{"[[orchestrator]]\nname = \"o\"\nlisten = \"127.0.0.1:1\"\nqueue = 0",
              "f.toml:4: [[orchestrator]] queue: expected a whole number from 1"},
        wrong{"[[orchestrator]]\nname = \"o\"\nlisten = \"127.0.0.1:1\"\nprice_per_unit = \"-1\"",
              "f.toml:4: [[orchestrator]] price_per_unit: expected an amount"},
        wrong{"[[orchestrator]]\nname = \"o\"\nlisten = "
              "\"127.0.0.1:1\"\n[[orchestrator.price]]\nmodel "
              "= \"m\"\namount = -3",
              "f.toml:6: [[orchestrator.price]] amount: expected an amount"},
        wrong{"[[orchestrator]]\nname = \"o\"\nlisten = \"127.0.0.1:1\"\n[[orchestrator.price]]\n"
              "amount = 1\nsender = \"0x12\"",
              "f.toml:6: [[orchestrator.price]] sender: expected an address"},
        wrong{"[[orchestrator]]\nname = \"o\"\nlisten = \"127.0.0.1:1\"\n[[orchestrator.price]]\n"
              "amount = 1\npipeline = \"fly\"",
              "f.toml:6: [[orchestrator.price]] pipeline: \"fly\" is no pipeline"},
        wrong{"[[orchestrator]]\nname = \"o\"\nlisten = \"127.0.0.1:1\"\n[[orchestrator.price]]\n"
              "amount = 1\nunits = 0",
              "f.toml:6: [[orchestrator.price]] units: expected a whole number from 1"},
        wrong{
            "[[orchestrator]]\nname = \"o\"\nlisten = \"127.0.0.1:1\"\nprice_per_unit = \"1 usd\"",
            "f.toml:4: [[orchestrator]] price_per_unit: the rate of currency \"usd\" is not known: "
            "give it in "
            "[payments.rates]"},
        wrong{"[payments]\nchain = \"main\"",
              "f.toml:2: [payments] chain: expected off, dev or rpc"},
        wrong{"[payments]\nchain = \"rpc\"", "f.toml:1: [payments] endpoints: must name at least"},
        wrong{"[payments]\nticket_ev = 0",
              "f.toml:2: [payments] ticket_ev: must be at least 1 wei"},
        wrong{"[payments]\nticket_ev = \"1 usd\"", "f.toml:2: [payments] ticket_ev: the rate of"},
        wrong{"[payments]\nticket_ve = 1", "f.toml:2: [payments] ticket_ve: unknown key; known: "},
        wrong{"[payments]\n[payments.rates]\nusd = 0", "f.toml:3: [payments.rates] usd: expected"},
        wrong{"[payments]\n[payments.rates]\neth = 2", "f.toml:3: [payments.rates] eth: expected"},
        wrong{"[payments]\nsuspension = 3", "f.toml:2: [payments] suspension: expected a text"},
        wrong{"[[orchestrator]]\nname = \"a\"\nlisten = \"127.0.0.1:1\"\n[[orchestrator]]\nname = "
              "\"b\"\nlisten = \"127.0.0.1:1\"",
              "f.toml:6: [[orchestrator]] listen: a already listens on 127.0.0.1:1"},
        wrong{"[[orchestrator]]\nname = \"a\"\nlisten = \"127.0.0.1:1\"\n[[worker]]\nname = \"a\"",
              "f.toml:5: [[worker]] name: \"a\" is already a orchestrator of this file"},
        wrong{"[[worker]]\nname = \"w\"\norchestrator = \"127.0.0.1:1\"\ndevice = \"tpu\"",
              "f.toml:4: [[worker]] device: "},
        wrong{"[[worker]]\nname = \"w\"\norchestrator = \"127.0.0.1:1\"\nmodels = [\"x\"]",
              "f.toml:4: [[worker]] models: there is no model \"x\""},
        wrong{"[[worker]]\nname = \"w\"\norchestrator = \"127.0.0.1:1\"\nmemory = \"8 GB\"",
              "f.toml:4: [[worker]] memory: expected a size"},
        wrong{"[[worker]]\nname = \"w\"\norchestrator = \"127.0.0.1:1\"\nmemory = \"2 GiB\"\n"
              "memory_limit = \"1 GiB\"",
              "f.toml:4: [[worker]] memory: expected at most memory_limit"},
        wrong{"[[worker]]\nname = \"w\"\norchestrator = \"127.0.0.1:1\"\nlow_memory = 1",
              "f.toml:4: [[worker]] low_memory: expected true or false"},
        wrong{"[[worker]]\nname = \"w\"\norchestrator = \"nobody\"",
              "f.toml:3: [[worker]] orchestrator: there is no orchestrator \"nobody\""},
        wrong{"[cluster]\nid = \"\"", "f.toml:2: [cluster] id: must not be empty"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\norchestrators = "
              "[\"127.0.0.1:2\"]\ntokens = [\"\"]",
              "f.toml:5: [[gateway]] tokens: expected texts of visible ASCII"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\norchestrators = "
              "[\"127.0.0.1:2\"]\ntokens = [\"a b\"]",
              "f.toml:5: [[gateway]] tokens: expected texts of visible ASCII"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\norchestrators = "
              "[\"127.0.0.1:2\", \"127.0.0.1:2\"]",
              "f.toml:4: [[gateway]] orchestrators: names \"127.0.0.1:2\" twice"},
        wrong{"[[gateway]]\nname = \"g\"\nhttp = \"127.0.0.1:1\"\norchestrators = "
              "[\"127.0.0.1:0\"]",
              "f.toml:4: [[gateway]] orchestrators: \"127.0.0.1:0\": nobody can be reached"},
        wrong{"[payments]\nchain = \"rpc\"\nendpoints = [\"\"]",
              "f.toml:3: [payments] endpoints: must hold no empty"},
        wrong{"worker = 3", "f.toml:1: top level: worker: expected tables, each begun by"},
        wrong{"", "f.toml: no node is configured"}));

TEST(config, a_missing_file_is_named) {
  EXPECT_NE(load_config("no/such.toml").error().message.find("no/such.toml"), std::string::npos);
  EXPECT_NE(load_config("/").error().message.find("cannot read"), std::string::npos);
}

TEST(config, an_empty_file_configures_no_node) {
  const auto why = load_config("/dev/null").error().message;
  EXPECT_EQ(why.substr(0, 33), "/dev/null: no node is configured:");
}

TEST(config, warns_of_what_is_most_likely_not_meant) {
  const auto c = parse(R"(
[[orchestrator]]
name = "free"
listen = "127.0.0.1:1"
price_per_unit = "0"
[[orchestrator]]
name = "o"
listen = "127.0.0.1:2"
[[orchestrator.price]]
amount = 5
[[gateway]]
name = "g"
http = "127.0.0.1:0"
orchestrators = ["o"]
[[gateway.max_price]]
amount = 7
)");
  ASSERT_TRUE(c) << c.error().message;
  ASSERT_EQ(c->warnings.size(), 2U);
  EXPECT_EQ(c->warnings[0].find("f.toml:15: [[gateway]] max_price: without a table [payments]"), 0U)
      << c->warnings[0];
  EXPECT_EQ(c->warnings[1].find("f.toml:9: [[orchestrator]] price: without"), 0U) << c->warnings[1];

  const auto off = parse(std::string(small) +
                         "[payments]\nendpoints = [\"http://127.0.0.1:1\"]\ndev_port = 9\n");
  ASSERT_TRUE(off) << off.error().message;
  ASSERT_EQ(off->warnings.size(), 3U);
  EXPECT_NE(off->warnings[2].find("price"), std::string::npos) << off->warnings[2];
  EXPECT_EQ(off->warnings[0].find("f.toml:9: [payments] endpoints: is of no use with chain"), 0U)
      << off->warnings[0];
}

TEST(config, reads_addresses_with_ipv6_hosts) {
  EXPECT_EQ(parse_address("[::1]:80")->host, "::1");
  EXPECT_EQ(parse_address("[::1]:80")->text(), "[::1]:80");
  EXPECT_TRUE(parse_address("[::1]:80")->loopback());
  EXPECT_FALSE(parse_address("10.0.0.1:80")->loopback());
  for (const char* bad : {"", ":", ":80", "host", "host:", "host:x", "host:80x", "host:-1"}) {
    EXPECT_FALSE(parse_address(bad)) << bad;
  }
}

}  // namespace
}  // namespace lp::runtime
