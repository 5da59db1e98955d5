// SPDX-License-Identifier: MIT
#include "runtime/payments_config.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/core.h>

#include "payments/u256.hpp"
#include "pipelines/description.hpp"

namespace lp::runtime {

namespace {

using chain_kind = payments_config::chain_kind;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// A key's money in whole wei; left alone where the key is absent.
void read_wei(table_reader& t, const std::string& key, const payments_config& p,
              payments::rational& out) {
  const std::string text = t.number_text(key, {});
  if (text.empty()) return;
  const auto money = payments::parse_money(text);
  if (!money) return t.mistake(key, money.error().message);
  if (p.aggregators.count(money->currency) > 0) {
    return t.mistake(key, fmt::format("the rate of {} is the chain's: give it in wei, gwei or eth",
                                      money->currency));
  }
  const auto wei = payments::price_list({}, p.feed()).in_wei(*money);
  if (!wei) return t.mistake(key, wei.error().message);
  const payments::integer whole = payments::floor(*wei);
  if (whole == 0 && *wei > 0) {
    return t.mistake(key, fmt::format("expected at least one wei, or 0; {} is less", text));
  }
  if (const auto fits = payments::to_u256(whole, "it"); !fits) {
    return t.mistake(key, fmt::format("expected an amount below 2^256 wei, not {}", text));
  }
  out = payments::rational(whole);
}

result<void> read_rates(const toml::table* table, const std::string& file, payments_config& out) {
  if (table == nullptr) return {};
  table_reader t(*table, "[payments.rates]", file);
  for (const auto& [key, value] : *table) {
    const std::string currency(key.str());
    const std::string text = t.number_text(currency, {});
    const bool on_chain = is_eth_address(text) || text == "dev";
    const auto amount = payments::parse_amount(on_chain ? "1" : text);
    if (!amount || *amount == 0) {
      t.mistake(currency,
                "expected how much of it one ETH buys, such as 2500, or the address of an "
                "aggregator");
      continue;
    }
    if (on_chain && out.chain == chain_kind::off) {
      t.mistake(currency, "an aggregator needs a chain: expected a number with chain = \"off\"");
    }
    if (text == "dev" && out.chain != chain_kind::dev) {
      t.mistake(currency, "only a chain of its own, chain = \"dev\", has an aggregator \"dev\"");
    }
    const auto named = payments::parse_money("1 " + currency);
    if (!named || named->currency != currency || payments::fixed_feed({}).wei_per(currency)) {
      t.mistake(currency, "expected a currency's name in lower case, such as usd");
    }
    if (on_chain) {
      out.aggregators[currency] = text;
    } else {
      out.rates[currency] = *amount;
    }
  }
  return t.finish();
}

void read_chain(table_reader& t, payments_config& out) {
  const std::string chain = t.text("chain", "off");
  out.endpoints = t.texts("endpoints");
  for (const std::string& e : out.endpoints) {
    if (e.empty()) t.mistake("endpoints", "must hold no empty address");
  }
  out.controller = t.text("controller", {});
  out.dev_port = static_cast<std::uint16_t>(t.whole("dev_port", out.dev_port, 0, 65'535));
  if (chain == "dev") {
    out.chain = chain_kind::dev;
  } else if (chain == "rpc") {
    out.chain = chain_kind::rpc;
    if (out.endpoints.empty()) t.mistake("endpoints", "must name at least one for chain = \"rpc\"");
    if (!is_eth_address(out.controller)) {
      t.mistake("controller",
                "expected the address of the Livepeer controller for chain = \"rpc\"");
    }
  } else if (chain != "off") {
    t.mistake("chain", "expected off, dev or rpc");
  }
  const auto unused = [&](const char* key, bool given, chain_kind of) {
    if (!given || out.chain == of) return;
    out.warnings.push_back(fmt::format("{}: is of no use with chain = \"{}\": it belongs to \"{}\"",
                                       out.at.of(key), to_string(out.chain), to_string(of)));
  };
  unused("endpoints", !out.endpoints.empty(), chain_kind::rpc);
  unused("controller", !out.controller.empty(), chain_kind::rpc);
  unused("dev_port", out.dev_port != 0, chain_kind::dev);
  // A chain of one's own has a block a second, and its gas is free.
  if (out.chain == chain_kind::dev) {
    out.poll = milliseconds{250};
    out.max_tip = 0;
  }
  out.poll = t.time("poll", out.poll);
  if (out.poll.count() < 10) t.mistake("poll", "must be at least 10ms");
  out.confirmations = t.whole("confirmations", out.confirmations, 1, 1000);
}

result<payments::price_rule> read_rule(const toml::table& table, const std::string& path,
                                       const std::string& file) {
  table_reader t(table, path, file);
  payments::price_rule r;
  r.pipeline = t.text("pipeline", {});
  if (!r.pipeline.empty() && pipelines::find(r.pipeline) == nullptr) {
    t.mistake("pipeline", fmt::format("\"{}\" is no pipeline", r.pipeline));
  }
  r.model = t.text("model", {});
  r.sender = lower(t.text("sender", {}));
  if (!r.sender.empty() && !is_eth_address(r.sender)) {
    t.mistake("sender", "expected an address: 0x and 40 hexadecimal digits");
  }
  if (const auto money = payments::parse_money(t.number_text("amount", {}))) {
    r.amount = *money;
  } else {
    t.mistake("amount", money.error().message);
  }
  r.units = t.whole("units", 1, 1, INT64_MAX);
  if (auto ok = t.finish(); !ok) return fail(ok.error());
  return r;
}

std::string money_text(const payments::money& m) {
  return fmt::format("{} {}", m.amount.str(), m.currency);
}

}  // namespace

bool is_eth_address(const std::string& text) {
  return text.size() == 42 && text.compare(0, 2, "0x") == 0 &&
         std::all_of(text.begin() + 2, text.end(),
                     [](unsigned char c) { return std::isxdigit(c) != 0; });
}

std::shared_ptr<const payments::price_feed> payments_config::feed(
    const std::shared_ptr<const payments::price_feed>& of_chain) const {
  auto fixed = std::make_shared<payments::fixed_feed>(rates);
  if (!of_chain) return fixed;
  return std::make_shared<payments::joint_feed>(std::move(fixed), of_chain);
}

const char* to_string(chain_kind chain) {
  switch (chain) {
    case chain_kind::dev:
      return "dev";
    case chain_kind::rpc:
      return "rpc";
    default:
      return "off";
  }
}

result<payments_config> read_payments(const toml::table& table, const std::string& file,
                                      const std::filesystem::path& folder) {
  payments_config out;
  out.enabled = true;
  table_reader t(table, "[payments]", file);
  out.at = t.places();
  const auto path = [&](const char* key, const std::filesystem::path& fallback) {
    const std::string given = t.text(key, {});
    return given.empty() ? fallback : (folder / given).lexically_normal();
  };
  read_chain(t, out);
  out.data = path("data", (folder / "payments").lexically_normal());
  out.keystore = path("keystore", out.data / "keys");
  out.passphrase_file = path("passphrase_file", out.data / "passphrase");
  // Rates first: amounts may be in those currencies.
  if (auto ok = read_rates(t.table("rates"), file, out); !ok) return fail(ok.error());
  read_wei(t, "ticket_ev", out, out.ticket_ev);
  read_wei(t, "face_value", out, out.face_value);
  read_wei(t, "max_float", out, out.max_float);
  read_wei(t, "max_ticket_ev", out, out.max_ticket_ev);
  read_wei(t, "max_total_ev", out, out.max_total_ev);
  read_wei(t, "max_exposure", out, out.max_exposure);
  read_wei(t, "max_gas_price", out, out.max_gas_price);
  read_wei(t, "max_tip", out, out.max_tip);
  if (out.ticket_ev < 1) t.mistake("ticket_ev", "must be at least 1 wei");
  if (out.face_value != 0 && out.face_value < out.ticket_ev) {
    t.mistake("face_value", "must not be below ticket_ev");
  }
  out.rate_every = t.time("rate_every", out.rate_every);
  out.rate_max_age = t.time("rate_max_age", out.rate_max_age);
  out.rate_keep = t.time("rate_keep", out.rate_keep);
  out.terms_life = t.time("terms_life", out.terms_life);
  out.suspension = t.time("suspension", out.suspension);
  if (auto ok = t.finish(); !ok) return fail(ok.error());
  return out;
}

result<std::vector<payments::price_rule>> read_price_rules(table_reader& owner,
                                                           const std::string& owner_name,
                                                           const std::string& key,
                                                           const std::string& file) {
  std::vector<payments::price_rule> out;
  for (const toml::table* table : owner.tables(key)) {
    auto rule = read_rule(*table, fmt::format("[[{}.{}]]", owner_name, key), file);
    if (!rule) return fail(rule.error());
    out.push_back(std::move(*rule));
  }
  return out;
}

result<void> check_currencies(const std::vector<payments::price_rule>& rules,
                              const payments_config& p, const std::string& where) {
  const payments::price_list list({}, p.feed());
  for (const payments::price_rule& r : rules) {
    if (p.aggregators.count(r.amount.currency) > 0) continue;
    const auto wei = list.in_wei(r.amount);
    if (!wei) {
      return fail(ec::bad_config,
                  fmt::format("{}: {}: give it in [payments.rates]", where, wei.error().message));
    }
  }
  return {};
}

result<void> check_prices(const std::vector<payments::price_rule>& rules, const payments_config& p,
                          const std::string& where) {
  if (auto ok = check_currencies(rules, p, where); !ok) return ok;
  const payments::price_list list({}, p.feed());
  for (const payments::price_rule& r : rules) {
    const auto wei = list.in_wei(r.amount);
    if (!wei) continue;  // the chain's rate, later
    if (const auto stated = payments::to_fraction({*wei / r.units}); !stated) {
      return fail(ec::bad_config, fmt::format("{}: {}", where, stated.error().message));
    }
  }
  return {};
}

toml::table to_table(const payments_config& p) {
  toml::table rates;
  for (const auto& [currency, amount] : p.rates) rates.insert(currency, amount.str());
  for (const auto& [currency, where] : p.aggregators) rates.insert(currency, where);
  toml::array endpoints;
  for (const std::string& e : p.endpoints) endpoints.push_back(e);
  const auto ms = [](milliseconds t) { return std::to_string(t.count()) + "ms"; };
  return toml::table{{"chain", to_string(p.chain)},
                     {"dev_port", static_cast<std::int64_t>(p.dev_port)},
                     {"endpoints", std::move(endpoints)},
                     {"controller", p.controller},
                     {"poll", ms(p.poll)},
                     {"max_gas_price", p.max_gas_price.str()},
                     {"max_tip", p.max_tip.str()},
                     {"confirmations", static_cast<std::int64_t>(p.confirmations)},
                     {"data", p.data.string()},
                     {"keystore", p.keystore.string()},
                     {"passphrase_file", p.passphrase_file.string()},
                     {"rates", std::move(rates)},
                     {"rate_every", ms(p.rate_every)},
                     {"rate_max_age", ms(p.rate_max_age)},
                     {"rate_keep", ms(p.rate_keep)},
                     {"ticket_ev", p.ticket_ev.str()},
                     {"face_value", p.face_value.str()},
                     {"max_float", p.max_float.str()},
                     {"max_ticket_ev", p.max_ticket_ev.str()},
                     {"max_total_ev", p.max_total_ev.str()},
                     {"max_exposure", p.max_exposure.str()},
                     {"terms_life", ms(p.terms_life)},
                     {"suspension", ms(p.suspension)}};
}

toml::array to_array(const std::vector<payments::price_rule>& rules) {
  toml::array out;
  for (const payments::price_rule& r : rules) {
    out.push_back(toml::table{{"pipeline", r.pipeline},
                              {"model", r.model},
                              {"sender", r.sender},
                              {"amount", money_text(r.amount)},
                              {"units", static_cast<std::int64_t>(r.units)}});
  }
  return out;
}

}  // namespace lp::runtime
