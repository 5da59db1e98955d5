// SPDX-License-Identifier: MIT
#include "tools/lp-wallet/options.hpp"

#include <algorithm>

#include <fmt/core.h>

#include "payments/amount.hpp"
#include "runtime/chain/http_transport.hpp"

namespace lp::wallet_tool {

using payments::key_file;

result<key_file> chosen_key(const options& o) {
  auto keys = payments::list_keys(o.keystore);
  if (!keys) return fail(keys.error());
  if (keys->empty()) {
    return fail(ec::not_found,
                fmt::format("{}: holds no key; \"lp-wallet create\" makes one, --keystore or "
                            "LP_KEYSTORE names another folder",
                            o.keystore));
  }
  if (o.address.empty()) {
    if (keys->size() == 1) return keys->front();
    return fail(ec::not_found, fmt::format("{}: holds {} keys; choose one with --address",
                                           o.keystore, keys->size()));
  }
  const auto wanted = payments::parse_address(o.address, "--address");
  if (!wanted) return fail(wanted.error());
  const auto found = std::find_if(keys->begin(), keys->end(),
                                  [&](const key_file& k) { return k.address == *wanted; });
  if (found != keys->end()) return *found;
  return fail(ec::not_found,
              fmt::format("{}: holds no key of {}", o.keystore, payments::to_text(*wanted)));
}

result<payments::private_key> open_key(const options& o) {
  const auto file = chosen_key(o);
  if (!file) return fail(file.error());
  const auto secret = payments::read_passphrase(
      {o.passphrase_file, "LP_PASSPHRASE",
       fmt::format("Passphrase of {}", payments::to_text(file->address)), false});
  if (!secret) return fail(secret.error());
  return payments::load_key(file->path, *secret);
}

result<payments::passphrase> new_passphrase(const options& o) {
  return payments::read_passphrase(
      {o.passphrase_file, "LP_PASSPHRASE", "Passphrase for the new key", true});
}

result<payments::address> chosen_address(const options& o) {
  if (!o.address.empty()) return payments::parse_address(o.address, "--address");
  const auto key = chosen_key(o);
  if (!key) return fail(key.error());
  return key->address;
}

result<connection> connect(const options& o) {
  if (o.rpc.empty()) {
    return fail(ec::bad_request, "no Ethereum node: name one with --rpc or LP_ETH_URL");
  }
  if (o.controller.empty()) {
    return fail(ec::bad_request,
                "no controller: name the Livepeer controller's address with --controller or "
                "LP_CONTROLLER");
  }
  const auto controller = payments::parse_address(o.controller, "--controller");
  if (!controller) return fail(controller.error());
  connection out;
  const auto cap = payments::parse_wei(o.max_gas_price, "--max-gas-price");
  if (!cap) return fail(cap.error());
  out.policy.max_fee = *cap;
  out.policy.confirmations = o.confirmations;
  payments::rpc_options rpc;
  rpc.endpoints = o.rpc;
  out.client =
      std::make_shared<payments::eth_client>(runtime::connect_rpc(std::move(rpc), {o.authority}));
  const auto id = out.client->chain_id(o.deadline());
  if (!id) return fail(id.error());
  out.chain_id = *id;
  const auto where = payments::find_protocol(out.client, *controller, o.deadline());
  if (!where) return fail(where.error());
  out.where = *where;
  return out;
}

}  // namespace lp::wallet_tool
