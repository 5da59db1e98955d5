// SPDX-License-Identifier: MIT
#include "tests/paid/market.hpp"

#include <unistd.h>

#include <future>
#include <stdexcept>

#include <boost/json/serialize.hpp>
#include "pipelines/description.hpp"

namespace lp::testing {

namespace {

std::unique_ptr<payments::ledger> open(const std::filesystem::path& file) {
  payments::ledger_options options;
  options.file = file;
  auto opened = payments::ledger::open(std::move(options));
  if (!opened) throw std::runtime_error(render(opened.error()));
  return std::move(*opened);
}

template <class T>
T value(result<T> r) {
  if (!r) throw std::runtime_error(render(r.error()));
  return std::move(*r);
}

}  // namespace

scratch_folder::scratch_folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "lp-paid-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

payments::price_list price_of(const std::string& wei_per_unit) {
  return payments::price_list({{{}, {}, {}, value(payments::parse_money(wei_per_unit)), 1}},
                              std::make_shared<payments::fixed_feed>(
                                  std::map<std::string, payments::rational, std::less<>>{}));
}

std::shared_ptr<payments::price_book> price(const std::string& wei_per_unit) {
  return std::make_shared<payments::price_book>(price_of(wei_per_unit));
}

seller::seller(const std::filesystem::path& folder, std::string name,
               const std::string& wei_per_unit, payments::recipient_config rules)
    : node(std::move(name)),
      prices(price(wei_per_unit)),
      file(folder / (node + ".sqlite")),
      tickets(std::move(rules)) {
  restart();
}

void seller::restart() {
  money.reset();
  money = open(file);
  actors::till_options o{{"test", node}, "127.0.0.1:1", tickets, milliseconds(300'000)};
  desk = std::make_unique<actors::till>(
      std::move(o), key.clone(), prices, *money,
      [this](const payments::address&) -> result<actors::chain_state> {
        actors::chain_state s{payments::offchain_view(now_ms / 1000), funds};
        s.view.pool_size = 1;
        return s;
      });
}

result<std::string> seller::admit(const wire::JobRequest& r) {
  wire::JobRequest travelled;
  if (!travelled.ParseFromString(r.SerializeAsString())) throw std::runtime_error("does not parse");
  auto checked = desk->check(travelled, now_ms);
  if (!checked) return fail(checked.error());
  if (!*checked) return std::string();
  std::promise<result<std::string>> told;
  desk->admit(std::move(**checked), [&](result<std::string> outcome) { told.set_value(outcome); });
  return told.get_future().get();
}

void seller::finish(const buyer& by, const std::string& id, double units, bool again) {
  desk->settle(by.wallet->address().hex() + "/" + actors::money_job(id, node, again), units);
}

payments::account seller::account(const payments::address& sender) {
  // What was asked for before is done before this.
  (void)money->set_note("test", "here").get();
  return value(money->balance({payments::side::incoming, sender}));
}

buyer::buyer(const std::filesystem::path& folder, actors::purse_options options)
    : caps(std::make_shared<payments::price_book>(payments::price_list())) {
  options.cluster = "test";
  money = open(folder / "buyer.sqlite");
  wallet = std::make_unique<actors::purse>(
      std::move(options), payments::private_key::generate(), caps, *money,
      [this](std::int64_t their_ms) -> result<actors::own_chain_state> {
        actors::own_chain_state s{payments::offchain_view(their_ms / 1000), funds};
        s.view.l1_block += blocks_ahead;
        return s;
      });
}

result<void> buyer::get_terms(seller& from, const std::string& pipeline) {
  if (wallet->has_terms(from.node, pipeline, pipeline, now_ms)) return {};
  const wire::TermsRequest asked = wallet->ask(from.node, pipeline, pipeline, now_ms);
  const auto stated = from.terms(asked);
  if (!stated) return fail(stated.error());
  return wallet->take(from.node, asked, *stated, now_ms);
}

result<wire::JobRequest> buyer::pay(seller& to, const std::string& id,
                                    std::vector<payments::money> max_prices, bool again) {
  actors::payment_order order;
  order.node = to.node;
  order.request = noop_job(id);
  order.max_prices = std::move(max_prices);
  order.again = again;
  const auto plan = wallet->prepare(order, now_ms + 600'000, now_ms);
  if (!plan) return fail(plan.error());
  std::promise<result<payments::funded>> told;
  wallet->fund(*plan, [&](result<payments::funded> outcome) { told.set_value(outcome); });
  const auto funded = told.get_future().get();
  if (!funded) {
    wallet->drop(*plan);
    return fail(funded.error());
  }
  wallet->complete(*plan, *funded, order.request);
  return order.request;
}

result<std::string> buyer::trade(seller& with, const std::string& id) {
  if (auto ok = get_terms(with); !ok) return fail(ok.error());
  const auto job = pay(with, id);
  if (!job) return fail(job.error());
  return with.admit(*job);
}

void buyer::settle(seller& with, const std::string& id, actors::settlement::outcome how,
                   double units) {
  wallet->settle({id, with.node, how, units}, now_ms);
}

payments::account buyer::account(const seller& at) {
  (void)money->set_note("test", "here").get();
  return value(money->balance({payments::side::outgoing, at.desk->address()}));
}

std::unique_ptr<payments::ledger> look_into(const scratch_folder& folder, const std::string& node) {
  payments::ledger_options options;
  options.file = folder.path() / node / "ledger.sqlite";
  options.read_only = true;
  auto opened = payments::ledger::open(std::move(options));
  if (!opened) throw std::runtime_error(render(opened.error()));
  return std::move(*opened);
}

wire::JobRequest noop_job(const std::string& id) {
  wire::JobRequest r;
  r.set_id(id);
  r.set_pipeline("noop");
  r.set_model("noop");
  const auto* d = pipelines::find("noop");
  r.set_params_json(boost::json::serialize(value(pipelines::validate(*d, boost::json::object{}))));
  r.set_budget_ms(60'000);
  return r;
}

}  // namespace lp::testing
