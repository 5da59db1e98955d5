// SPDX-License-Identifier: MIT
// Secret keys at rest: Ethereum's key files, version 3 ("Web3 Secret Storage Definition"), as geth,
// go-livepeer and most wallets write them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "payments/keys.hpp"

namespace lp::payments {

/// How hard a passphrase is to try. Memory is 128 * r * n bytes; the default is geth's "standard".
struct scrypt_cost {
  std::uint32_t n = 1 << 18;
  std::uint32_t r = 8;
  std::uint32_t p = 1;

  /// geth's "light": 4 MiB and a fraction of a second.
  static scrypt_cost light() { return {1 << 12, 8, 6}; }
};

/// A passphrase; its bytes are wiped when it goes.
class passphrase {
 public:
  explicit passphrase(std::string text) : text_(std::move(text)) {}
  passphrase(passphrase&& other) noexcept;
  passphrase& operator=(passphrase&& other) noexcept;
  passphrase(const passphrase&) = delete;
  passphrase& operator=(const passphrase&) = delete;
  ~passphrase();

  std::string_view view() const { return text_; }

 private:
  std::string text_;
};

/// The key file's text.
result<std::string> encrypt_key(const private_key& key, const passphrase& secret, scrypt_cost cost);

/// The key of a key file's text; scrypt and pbkdf2 (hmac-sha256). ec::unauthorized for a wrong
/// passphrase, ec::bad_file (naming `where`) for anything that is no such file, is damaged, or
/// would take more than 1 GiB of memory to open.
result<private_key> decrypt_key(std::string_view text, const passphrase& secret,
                                std::string_view where);

/// Writes a new file that only its owner may read, whole or not at all. The folder is made if it is
/// missing (0700); one that is there stays as it is.
/// Named as geth names them: "UTC--TIME--ADDRESS". ec::bad_file, naming the file.
result<std::filesystem::path> store_key(const std::filesystem::path& folder, const private_key& key,
                                        const passphrase& secret, scrypt_cost cost);

/// Reads a file of at most 64 KiB. ec::bad_file also where others may write or read it.
result<private_key> load_key(const std::filesystem::path& file, const passphrase& secret);

struct key_file {
  std::filesystem::path path;
  payments::address address;
};

/// The key files of a folder, by name; files of other kinds are passed over. A folder that does not
/// exist has none.
result<std::vector<key_file>> list_keys(const std::filesystem::path& folder);

/// Where a passphrase comes from.
struct passphrase_source {
  std::string file;                           ///< its first line; empty: not from a file
  std::string environment = "LP_PASSPHRASE";  ///< asked if no file is named
  std::string prompt;         ///< shown on the terminal if neither gives one; empty: never asks
  bool twice = false;         ///< ask for it again, for a new key
  bool may_be_empty = false;  ///< of foreign key files alone
};

/// ec::unauthorized, naming the three ways, if there is none; ec::bad_file for an unreadable file
/// and, naming its source, for an empty passphrase.
result<passphrase> read_passphrase(const passphrase_source& from);

}  // namespace lp::payments
