// SPDX-License-Identifier: MIT
#include <filesystem>
#include <fstream>

#include <openssl/crypto.h>

#include <fmt/core.h>
#include <boost/json/array.hpp>

#include "tools/lp-wallet/commands.hpp"

namespace lp::wallet_tool {

namespace json = boost::json;
using payments::private_key;

namespace {

answer store(const options& o, const private_key& key) {
  const auto secret = new_passphrase(o);
  if (!secret) return fail(secret.error());
  const auto cost = o.light ? payments::scrypt_cost::light() : payments::scrypt_cost{};
  const auto file = payments::store_key(o.keystore, key, *secret, cost);
  if (!file) return fail(file.error());
  return json::object{{"address", payments::to_text(key.address())}, {"file", file->string()}};
}

// A key file of another program, or 64 digits.
result<private_key> read_foreign(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(ec::bad_file, fmt::format("{}: cannot be read", file));
  std::string text;
  text.reserve(1 << 16);  // so that no copy is left behind
  for (char c = 0; text.size() < (1 << 16) && in.get(c);) text.push_back(c);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.pop_back();
  auto out = [&]() -> result<private_key> {
    if (!text.starts_with('{')) {
      auto key = private_key::from_hex(text);
      if (key) return key;
      return fail(ec::bad_file,
                  fmt::format("{}: expected a key file, or a key as 64 digits", file));
    }
    const auto secret = payments::read_passphrase(
        {"", "LP_IMPORT_PASSPHRASE", "Passphrase of " + file, false, true});
    if (!secret) return fail(secret.error());
    return payments::decrypt_key(text, *secret, file);
  }();
  OPENSSL_cleanse(text.data(), text.size());
  return out;
}

}  // namespace

answer create(const options& o) {
  return store(o, private_key::generate());
}

answer import_key(const options& o, const std::string& file) {
  const auto key = read_foreign(file);
  if (!key) return fail(key.error());
  return store(o, *key);
}

answer show_addresses(const options& o) {
  std::error_code unknown;
  if (!std::filesystem::exists(o.keystore, unknown)) {
    return fail(ec::not_found,
                fmt::format("{}: there is no such folder; \"lp-wallet create\" makes one, "
                            "--keystore or LP_KEYSTORE names another",
                            o.keystore));
  }
  const auto keys = payments::list_keys(o.keystore);
  if (!keys) return fail(keys.error());
  json::array out;
  for (const payments::key_file& k : *keys) {
    out.push_back(
        json::object{{"address", payments::to_text(k.address)}, {"file", k.path.string()}});
  }
  return json::object{{"keys", std::move(out)}};
}

}  // namespace lp::wallet_tool
