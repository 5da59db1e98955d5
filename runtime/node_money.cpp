// SPDX-License-Identifier: MIT
#include "runtime/node_money.hpp"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/core.h>

#include "payments/keystore.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/log.hpp"

namespace lp::runtime {

namespace {

namespace fs = std::filesystem;

result<void> make_folder(const fs::path& folder) {
  std::error_code bad;
  fs::create_directories(folder, bad);
  if (!bad) fs::permissions(folder, fs::perms::owner_all, bad);
  if (!bad) return {};
  return fail(ec::bad_config,
              fmt::format("cannot make the folder {}: {}", folder.string(), bad.message()));
}

// Two nodes of one file may start at once: who comes second finds the file.
result<void> make_passphrase(const fs::path& file) {
  if (auto ok = make_folder(file.parent_path()); !ok) return ok;
  const std::string text = random_hex(32) + "\n";
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) return {};
  const bool written =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  if (written) return {};
  return fail(ec::bad_config, fmt::format("cannot write {}", file.string()));
}

payments::u256 whole(const payments::rational& wei) {
  return payments::u256(payments::floor(wei));
}

}  // namespace

result<payments::private_key> open_key(const payments_config& p, const std::string& node) {
  if (!fs::exists(p.passphrase_file)) {
    if (auto ok = make_passphrase(p.passphrase_file); !ok) return fail(ok.error());
  }
  const auto secret = payments::read_passphrase({p.passphrase_file.string(), {}, {}, false});
  if (!secret) return fail(ec::bad_config, secret.error().message);
  const fs::path folder = p.keystore / node;
  const auto files = payments::list_keys(folder);
  if (!files) return fail(ec::bad_config, files.error().message);
  if (files->size() > 1) {
    return fail(ec::bad_config, fmt::format("{}: expected one key file, there are {}",
                                            folder.string(), files->size()));
  }
  if (files->size() == 1) {
    auto key = payments::load_key(files->front().path, *secret);
    if (!key) return fail(ec::bad_config, key.error().message);
    return key;
  }
  auto key = payments::private_key::generate();
  // A passphrase beside the keys keeps nobody from trying: the light cost is enough there.
  const auto file = payments::store_key(folder, key, *secret, payments::scrypt_cost::light());
  if (!file) return fail(ec::bad_config, file.error().message);
  log::info("node", "{} has a new key: {}, address {}", node, file->string(),
            to_text(key.address()));
  return key;
}

result<std::unique_ptr<payments::ledger>> open_ledger(const payments_config& p,
                                                      const std::string& node) {
  const fs::path folder = p.data / node;
  if (auto ok = make_folder(folder); !ok) return fail(ok.error());
  payments::ledger_options options;
  options.file = folder / "ledger.sqlite";
  auto opened = payments::ledger::open(std::move(options));
  if (!opened) return fail(ec::bad_config, opened.error().message);
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
