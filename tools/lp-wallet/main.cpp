// SPDX-License-Identifier: MIT
// lp-wallet keeps keys and moves what they own: deposits, reserves and winning tickets.
#include <functional>
#include <iostream>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "tools/command_line.hpp"
#include "tools/lp-wallet/commands.hpp"

namespace lp::wallet_tool {
namespace {

namespace json = boost::json;

std::string plain(const json::value& v) {
  return v.is_string() ? std::string(std::string_view(v.get_string())) : json::serialize(v);
}

void print_lines(const json::object& o, const char* indent = "") {
  for (const auto& m : o) {
    if (!m.value().is_array()) {
      std::cout << fmt::format("{}{:<22} {}\n", indent, std::string_view(m.key()),
                               plain(m.value()));
      continue;
    }
    const json::array& items = m.value().get_array();
    std::cout << fmt::format("{}{:<22} {}\n", indent, std::string_view(m.key()), items.size());
    for (const json::value& item : items) {
      if (item.is_object()) {
        print_lines(item.get_object(), "  ");
        std::cout << '\n';
      } else {
        std::cout << "  " << plain(item) << '\n';
      }
    }
  }
}

bool as_json = false;

void print(const json::object& o) {
  if (as_json) {
    std::cout << json::serialize(o) << '\n';
  } else {
    print_lines(o);
  }
  std::cout.flush();
}

void add_general(CLI::App& app, options& o) {
  app.add_flag("--json", as_json, "Answer as JSON; errors too.");
  app.add_option("--keystore", o.keystore, "Folder of the key files.")
      ->envname("LP_KEYSTORE")
      ->capture_default_str();
  app.add_option("--address", o.address, "Which key; needed where there are several.")
      ->envname("LP_ADDRESS");
  app.add_option("--passphrase-file", o.passphrase_file,
                 "File whose first line is the passphrase; else LP_PASSPHRASE, else it is asked.");
  app.add_option("--rpc", o.rpc, "URL of an Ethereum node; several may be given.")
      ->envname("LP_ETH_URL");
  app.add_option("--authority", o.authority,
                 "PEM file of the authorities trusted for https; else the system's.");
  app.add_option("--controller", o.controller, "Address of Livepeer's controller.")
      ->envname("LP_CONTROLLER");
  app.add_option("--max-gas-price", o.max_gas_price, "Never pay more for a unit of gas.")
      ->capture_default_str();
  app.add_option("--confirmations", o.confirmations, "Blocks until a transaction counts.")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--timeout", o.timeout_s, "Seconds for the whole command.")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  app.add_option("--ledger", o.ledger, "The node's ledger.")
      ->envname("LP_LEDGER")
      ->capture_default_str();
}

/// Every command by what it runs; the one that was given is kept in `chosen`.
struct commands {
  std::function<answer()> chosen;

  CLI::App* add(CLI::App& app, const char* name, const char* help, std::function<answer()> run) {
    CLI::App* c = app.add_subcommand(name, help);
    c->callback([this, run = std::move(run)] { chosen = run; });
    return c;
  }
};

struct arguments {
  std::string deposit = "0", reserve = "0", file, state = "all", ticket;
  std::size_t limit = 100;
  bool cancel = false, signatures = false;
  dev_chain_request dev;
};

void add_keys_and_funds(CLI::App& app, commands& c, options& o, arguments& a) {
  CLI::App* make = c.add(app, "create", "Makes a key.", [&] { return create(o); });
  make->add_flag("--light", o.light, "Cheaper to open, and to guess.");
  CLI::App* take = c.add(app, "import", "Takes over a key file, or a file with 64 digits.",
                         [&] { return import_key(o, a.file); });
  take->add_option("FILE", a.file)->required();
  take->add_flag("--light", o.light, "Cheaper to open, and to guess.");
  c.add(app, "address", "Lists the keys' addresses.", [&] { return show_addresses(o); });
  c.add(app, "balance", "Ether, deposit and reserve.", [&] { return balance(o); });
  CLI::App* pay = c.add(app, "fund", "Adds to a sender's deposit and reserve.",
                        [&] { return fund(o, a.deposit, a.reserve); });
  pay->add_option("--deposit", a.deposit, "For example 0.1eth, \"20 gwei\" or 5000 (wei).")
      ->capture_default_str();
  pay->add_option("--reserve", a.reserve, "For example 0.1eth.")->capture_default_str();
  CLI::App* open = c.add(app, "unlock", "Begins the wait before deposit and reserve come back.",
                         [&] { return unlock(o, a.cancel); });
  open->add_flag("--cancel", a.cancel, "Ends the wait; the money stays.");
  c.add(app, "withdraw", "Takes deposit and reserve back.", [&] { return withdraw(o); });
}

void add_ledger(CLI::App& app, commands& c, options& o, arguments& a) {
  CLI::App* tickets = app.add_subcommand("tickets", "The winning tickets of a node's ledger.");
  tickets->require_subcommand(1);
  CLI::App* list =
      c.add(*tickets, "list",
            "Lists the winners, oldest first. Tickets that won nothing are counted by audit.",
            [&] { return list_tickets(o, a.state, a.limit); });
  list->add_option("--state", a.state, "all, queued, submitted, mined or failed.")
      ->capture_default_str();
  list->add_option("--limit", a.limit, "How many at most.")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  CLI::App* show =
      c.add(*tickets, "show", "All about one.", [&] { return show_ticket(o, a.ticket); });
  show->add_option("TICKET", a.ticket, "Its hash.")->required();
  c.add(app, "redeem", "Redeems what can be redeemed now; the node must not be running.",
        [&] { return redeem(o); });
  CLI::App* check = c.add(app, "audit", "Rebuilds every balance from the events and compares.",
                          [&] { return audit(o, a.signatures); });
  check->add_flag("--signatures", a.signatures, "Check each ticket's signature too.");
}

void add_dev_chain(CLI::App& app, commands& c, options& o, arguments& a) {
  CLI::App* dev = c.add(app, "devchain", "Runs a chain of its own with Livepeer's contracts.",
                        [&] { return run_dev_chain(o, a.dev, print); });
  dev->add_option("--port", a.dev.port, "On 127.0.0.1; 0: a free one.")->capture_default_str();
  dev->add_option("--block-time", a.dev.block_time_s,
                  "Seconds between blocks; 0: one with each transaction.")
      ->capture_default_str();
  dev->add_option("--round-length", a.dev.round_length, "Blocks.")
      ->check(CLI::Range(5, 1'000'000))
      ->capture_default_str();
  dev->add_option("--orchestrator", a.dev.orchestrators,
                  "ADDRESS or ADDRESS=URI of a key here, to be an active orchestrator.");
  dev->add_option("--sender", a.dev.senders, "Address of a key here, to have deposit and reserve.");
  dev->add_option("--deposit", a.dev.deposit, "Of each sender.")->capture_default_str();
  dev->add_option("--reserve", a.dev.reserve, "Of each sender.")->capture_default_str();
}

int start(int argc, char** argv) {
  options o;
  arguments a;
  commands c;
  CLI::App app("Keeps keys and moves what they own: deposits, reserves and winning tickets.",
               "lp-wallet");
  app.require_subcommand(1);
  app.fallthrough();
  add_general(app, o);
  add_keys_and_funds(app, c, o, a);
  add_ledger(app, c, o, a);
  add_dev_chain(app, c, o, a);
  if (const auto over = lp::read_command_line(app, argc, argv)) return *over;
  const answer done = c.chosen();
  if (!done) {
    if (as_json) {
      const error& e = done.error();
      std::cout << json::serialize(json::object{
                       {"error", {{"code", to_string(e.code)}, {"message", e.message}}}})
                << '\n';
    }
    std::cerr << "lp-wallet: " << render(done.error()) << '\n';
    return 1;
  }
  print(*done);
  // An audit that finds something is an answer, and no success.
  const json::value* ok = done->if_contains("ok");
  return ok && *ok == false ? 1 : 0;
}

}  // namespace
}  // namespace lp::wallet_tool

int main(int argc, char** argv) {
  try {
    return lp::wallet_tool::start(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "lp-wallet: " << e.what() << '\n';
    return 1;
  }
}
