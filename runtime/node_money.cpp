// SPDX-License-Identifier: MIT
#include "runtime/node_money.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <unistd.h>

#include <fmt/core.h>

#include "payments/keystore.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/log.hpp"

namespace lp::runtime {

namespace {

namespace fs = std::filesystem;

// A node with years of payments is not kept from its work for longer.
constexpr seconds audit_time{3};
constexpr std::size_t most_problems_told = 5;

tl::unexpected<error> wrong_passphrase_file(const payments_config& p, std::string_view what) {
  return fail(ec::bad_config,
              fmt::format("[payments] passphrase_file: {}: {}", p.passphrase_file.string(), what));
}

// What is there of a node's key.
struct key_place {
  fs::path folder;
  std::optional<payments::key_file> file;
  bool passphrase = false;
};

// A key that cannot be read is not taken for none: another one in its place would pay and be paid
// as somebody else.
result<void> refuse_strangers(const fs::path& folder) {
  std::error_code bad;
  if (!fs::exists(folder, bad)) return {};
  for (fs::directory_iterator it(folder, bad), end; !bad && it != end; it.increment(bad)) {
    if (it->path().filename().string().starts_with(".")) continue;
    return fail(ec::bad_config,
                fmt::format("{}: expected a key file (JSON) that this user may read, and nothing "
                            "else in its folder",
                            it->path().string()));
  }
  if (!bad) return {};
  return fail(ec::bad_config, fmt::format("{}: {}", folder.string(), bad.message()));
}

bool holds_keys(const fs::path& keystore) {
  std::error_code bad;
  for (fs::directory_iterator it(keystore, bad), end; !bad && it != end; it.increment(bad)) {
    if (!it->is_directory(bad)) continue;
    if (const auto files = payments::list_keys(it->path()); files && !files->empty()) return true;
  }
  return false;
}

result<key_place> look_for_key(const payments_config& p, const std::string& node) {
  key_place out{p.keystore / node, {}, false};
  const auto files = payments::list_keys(out.folder);
  if (!files) return fail(ec::bad_config, files.error().message);
  if (files->size() > 1) {
    return fail(ec::bad_config, fmt::format("{}: expected one key file, there are {}",
                                            out.folder.string(), files->size()));
  }
  if (files->empty()) {
    if (auto ok = refuse_strangers(out.folder); !ok) return fail(ok.error());
  } else {
    out.file = files->front();
  }
  // Keys first: another node that starts now makes the passphrase before its key.
  const bool keys = holds_keys(p.keystore);
  std::error_code unknown;
  out.passphrase = fs::exists(p.passphrase_file, unknown) || unknown;
  if (out.passphrase) return out;
  if (keys) {
    return wrong_passphrase_file(
        p, fmt::format("there is no such file, and the keys in {} need it", p.keystore.string()));
  }
  if (!lies_below(p.passphrase_file, p.data)) {
    return wrong_passphrase_file(
        p, fmt::format("there is no such file; one is made only below [payments] data, {}",
                       p.data.string()));
  }
  return out;
}

result<payments::passphrase> take_passphrase(const payments_config& p) {
  auto secret = payments::read_passphrase({p.passphrase_file.string(), {}, {}, false});
  if (!secret) {
    return fail(ec::bad_config,
                fmt::format("[payments] passphrase_file: {}", secret.error().message));
  }
  return secret;
}

// Two nodes of one file may start at once: who comes second finds the file, and all of it.
result<void> make_passphrase(const fs::path& file) {
  if (auto ok = make_private_folder(file.parent_path()); !ok) return ok;
  const auto made = create_file(file, random_hex(32) + "\n", file_access::owner);
  if (!made) return fail(made.error());
  return {};
}

// Whether make_private_folder() and a file in it are to be expected to succeed.
result<void> check_writable(const fs::path& folder) {
  std::error_code bad;
  fs::path there = fs::absolute(folder, bad).lexically_normal();
  while (!fs::exists(there, bad) && there.has_relative_path()) there = there.parent_path();
  if (!fs::is_directory(there, bad)) {
    return fail(ec::bad_config, fmt::format("{}: expected a folder", there.string()));
  }
  if (::access(there.c_str(), W_OK | X_OK) == 0) return {};
  return fail(ec::bad_config,
              fmt::format("{}: cannot write there: {}", there.string(), std::strerror(errno)));
}

// Says what is wrong with the books, and starts: which side of a difference is right is for people
// to find out, and jobs go on meanwhile.
void audit_at_start(const payments::ledger& book, const fs::path& file) {
  const auto report = book.audit(false, clock::now() + audit_time);
  if (!report && report.error().code == ec::deadline_exceeded) {
    return log::info("node", "{}: too long to be audited at the start: lp-wallet --ledger {} audit",
                     file.string(), file.string());
  }
  if (!report) return log::error("node", "the audit failed: {}", report.error().message);
  if (report->ok()) return;
  for (std::size_t i = 0; i < std::min(report->problems.size(), most_problems_told); ++i) {
    log::error("node", "{}: the audit found: {}", file.string(), report->problems[i]);
  }
  log::error("node", "{}: the audit found {} problems; all of them: lp-wallet --ledger {} audit",
             file.string(), report->problems.size(), file.string());
}

payments::u256 whole(const payments::rational& wei) {
  return payments::u256(payments::floor(wei));
}

}  // namespace

result<payments::private_key> open_key(const payments_config& p, const std::string& node) {
  const auto place = look_for_key(p, node);
  if (!place) return fail(place.error());
  if (!place->passphrase) {
    if (auto ok = make_passphrase(p.passphrase_file); !ok) {
      return fail(ec::bad_config, ok.error().message);
    }
  }
  const auto secret = take_passphrase(p);
  if (!secret) return fail(secret.error());
  if (place->file) {
    auto key = payments::load_key(place->file->path, *secret);
    if (!key) return fail(ec::bad_config, key.error().message);
    return key;
  }
  auto key = payments::private_key::generate();
  // A passphrase beside the keys keeps nobody from trying: the light cost is enough there.
  const auto cost = payments::scrypt_cost::light();
  const auto file = payments::store_key(place->folder, key, *secret, cost);
  if (!file) return fail(ec::bad_config, file.error().message);
  log::info("node", "{} has a new key: {}, address {}", node, file->string(),
            to_text(key.address()));
  return key;
}

result<void> check_money(const payments_config& p, const std::string& node) {
  const auto place = look_for_key(p, node);
  if (!place) return fail(place.error());
  if (place->passphrase) {
    const auto secret = take_passphrase(p);
    if (!secret) return fail(secret.error());
    if (place->file) {
      const auto key = payments::load_key(place->file->path, *secret);
      if (!key) return fail(ec::bad_config, key.error().message);
    }
  } else if (auto ok = check_writable(p.passphrase_file.parent_path()); !ok) {
    return ok;
  }
  if (!place->file) {
    if (auto ok = check_writable(place->folder); !ok) return ok;
  }
  const fs::path folder = p.data / node;
  if (auto ok = check_writable(folder); !ok) return ok;
  std::error_code bad;
  const fs::path ledger = folder / "ledger.sqlite";
  if (!fs::exists(ledger, bad) || fs::file_size(ledger, bad) == 0) return {};
  const auto known = payments::ledger::recognise(ledger);
  if (!known) return fail(ec::bad_config, known.error().message);
  return {};
}

result<std::unique_ptr<payments::ledger>> open_ledger(const payments_config& p,
                                                      const std::string& node) {
  const fs::path folder = p.data / node;
  if (auto ok = make_private_folder(folder); !ok) return fail(ec::bad_config, ok.error().message);
  payments::ledger_options options;
  options.file = folder / "ledger.sqlite";
  auto opened = payments::ledger::open(std::move(options));
  if (!opened) return fail(ec::bad_config, opened.error().message);
  audit_at_start(**opened, folder / "ledger.sqlite");
  return opened;
}

payments::sender_config sender_rules(const payments_config& p) {
  payments::sender_config out;
  out.max_ticket_ev = whole(p.max_ticket_ev);
  out.max_total_ev = whole(p.max_total_ev);
  out.max_exposure = whole(p.max_exposure);
  return out;
}

payments::recipient_config recipient_rules(const payments_config& p) {
  payments::recipient_config out;
  out.ticket_ev = whole(p.ticket_ev);
  if (p.face_value > 0) out.max_face_value = whole(p.face_value);
  // Winners of a demonstration are to be redeemed within sight.
  if (p.chain == payments_config::chain_kind::dev) out.params_lifetime = 12;
  return out;
}

std::shared_ptr<steady_time> time_of(const payments::ledger& money, const std::string& node,
                                     bool counts_blocks) {
  const auto mark = money.forgotten();
  if (!mark) log::warn("node", "{}: {}", node, render(mark.error()));
  constexpr std::int64_t last = last_unix_ms / 1000;
  constexpr std::int64_t block_seconds = 12;
  std::int64_t passed = mark ? std::clamp<std::int64_t>(mark->unix_seconds, 0, last) : 0;
  if (mark && counts_blocks) {
    const std::uint64_t blocks = std::min<std::uint64_t>(mark->l1_block, last / block_seconds);
    passed = std::max(passed, static_cast<std::int64_t>(blocks) * block_seconds);
  }
  auto time = std::make_shared<steady_time>(passed * 1000);
  if (time->host_ahead_ms() < -1000) {
    log::warn(
        "node",
        "{}: the host's clock is {} what the ledger has seen: it was wrong before, or is now; "
        "payments expire by the ledger's time",
        node, lead_text(time->host_ahead_ms()));
  }
  return time;
}

actors::chain_lookup no_chain(const payments_config& p, std::shared_ptr<steady_time> time) {
  std::optional<payments::sender_funds> funds;
  if (p.max_float > 0) {
    funds.emplace();
    funds->deposit = 1;  // so little that pending winners count against the reserve
    funds->reserve = whole(p.max_float);
  }
  return [funds, time](const payments::address&) -> result<actors::chain_state> {
    actors::chain_state out{payments::offchain_view(time->seconds()), funds};
    out.view.pool_size = 1;
    return out;
  };
}

actors::own_chain_lookup no_own_chain() {
  return [](std::int64_t their_ms) -> result<actors::own_chain_state> {
    return actors::own_chain_state{payments::offchain_view(their_ms / 1000), {}};
  };
}

}  // namespace lp::runtime
