// SPDX-License-Identifier: MIT
#include "payments/keystore.hpp"

#include <array>
#include <optional>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <fmt/core.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "payments/keccak.hpp"
#include "runtime/base/byte_order_mark.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::payments {

namespace json = boost::json;

namespace {

constexpr std::size_t derived_size = 32;
constexpr std::uint64_t most_memory = 1ULL << 30;
constexpr std::uint64_t most_pbkdf2_rounds = 50'000'000;
constexpr std::uint64_t most_scrypt_p = 64;

/// Bytes that are wiped when they go. The size never changes.
struct secret_bytes {
  explicit secret_bytes(std::size_t size) : bytes(size, '\0') {}
  ~secret_bytes() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
  secret_bytes(const secret_bytes&) = delete;
  secret_bytes& operator=(const secret_bytes&) = delete;
  secret_bytes(secret_bytes&&) = default;
  secret_bytes& operator=(secret_bytes&&) = delete;

  unsigned char* data() { return reinterpret_cast<unsigned char*>(bytes.data()); }
  std::string_view view() const { return bytes; }

  std::string bytes;
};

const unsigned char* raw(std::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) != 1) {
    throw std::runtime_error("the operating system gives no random bytes");
  }
  return out;
}

bool scrypt(std::string_view secret, std::string_view salt, const scrypt_cost& c,
            secret_bytes& out) {
  // OpenSSL counts its own small needs into the limit, too.
  return EVP_PBE_scrypt(secret.data(), secret.size(), raw(salt), salt.size(), c.n, c.r, c.p,
                        most_memory + (1 << 20), out.data(), out.bytes.size()) == 1;
}

// Encrypting and decrypting are one operation.
bool aes_128_ctr(std::string_view key, std::string_view iv, std::string_view in,
                 secret_bytes& out) {
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  int size = 0;
  const bool ok =
      context && EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nullptr, raw(key), raw(iv)) == 1 &&
      EVP_EncryptUpdate(context, out.data(), &size, raw(in), static_cast<int>(in.size())) == 1;
  EVP_CIPHER_CTX_free(context);
  return ok;
}

// 4 random bits and the version's, as RFC 4122 has it.
std::string random_uuid() {
  std::string b = random_bytes(16);
  b[6] = static_cast<char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<char>((b[8] & 0x3f) | 0x80);
  const std::string h = to_hex(b);
  return fmt::format("{}-{}-{}-{}-{}", h.substr(0, 8), h.substr(8, 4), h.substr(12, 4),
                     h.substr(16, 4), h.substr(20));
}

/// Members of a key file, by path; the first that is missing or wrong is kept.
class file_reader {
 public:
  explicit file_reader(std::string_view where) : where_(where) {}

  const json::object& object(const json::object& o, std::string_view key) {
    static const json::object none;
    const json::value* v = o.if_contains(key);
    if (v && v->is_object()) return v->get_object();
    wrong(key, "an object");
    return none;
  }
  std::string text(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    if (v && v->is_string()) return std::string(std::string_view(v->get_string()));
    wrong(key, "a text");
    return {};
  }
  std::string bytes(const json::object& o, std::string_view key, std::size_t least,
                    std::size_t most) {
    auto out = lp::from_hex(text(o, key));
    if (out && out->size() >= least && out->size() <= most) return std::move(*out);
    wrong(key, fmt::format("{} to {} bytes in hexadecimal", least, most));
    return {};
  }
  std::uint32_t number(const json::object& o, std::string_view key, std::uint64_t most) {
    const json::value* v = o.if_contains(key);
    if (v && v->is_int64() && v->get_int64() > 0 &&
        static_cast<std::uint64_t>(v->get_int64()) <= most) {
      return static_cast<std::uint32_t>(v->get_int64());
    }
    wrong(key, fmt::format("a number from 1 to {}", most));
    return 1;
  }
  void wrong(std::string_view key, std::string_view expected) {
    if (!failure_) {
      failure_ =
          error{ec::bad_file, fmt::format("{}: \"{}\": expected {}", where_, key, expected), {}};
    }
  }
  const std::optional<error>& failure() const { return failure_; }

 private:
  std::string_view where_;
  std::optional<error> failure_;
};

// The first half of the derived key encrypts, the second authenticates.
hash32 mac_of(const secret_bytes& derived, std::string_view ciphertext) {
  return keccak256({derived.view().substr(16), ciphertext});
}

struct parsed_file {
  std::string ciphertext, iv, mac, salt;
  bool is_scrypt = false;
  scrypt_cost cost;
  std::uint32_t rounds = 0;
};

parsed_file read_file(const json::object& file, file_reader& r) {
  parsed_file out;
  if (r.number(file, "version", 3) != 3) r.wrong("version", "3");
  // Members are found in any case: some programs write "Crypto".
  const json::object& crypto = r.object(file, file.contains("Crypto") ? "Crypto" : "crypto");
  if (r.text(crypto, "cipher") != "aes-128-ctr") r.wrong("cipher", "\"aes-128-ctr\"");
  out.ciphertext = r.bytes(crypto, "ciphertext", 32, 32);
  out.iv = r.bytes(r.object(crypto, "cipherparams"), "iv", 16, 16);
  out.mac = r.bytes(crypto, "mac", 32, 32);
  const std::string kdf = r.text(crypto, "kdf");
  const json::object& params = r.object(crypto, "kdfparams");
  out.salt = r.bytes(params, "salt", 8, 256);
  if (r.number(params, "dklen", derived_size) != derived_size) r.wrong("dklen", "32");
  out.is_scrypt = kdf == "scrypt";
  if (out.is_scrypt) {
    out.cost.n = r.number(params, "n", 1U << 30);
    out.cost.r = r.number(params, "r", 1U << 20);
    out.cost.p = r.number(params, "p", most_scrypt_p);
    if (128ULL * out.cost.n * out.cost.r > most_memory)
      r.wrong("n", "n * r * 128 of 1 GiB at most");
    if ((out.cost.n & (out.cost.n - 1)) != 0) r.wrong("n", "a power of two");
    // RFC 7914: n < 2^(16 r).
    if (out.cost.r < 2 && out.cost.n >= 1U << 16) r.wrong("n", "less than 65536 where r is 1");
  } else if (kdf == "pbkdf2") {
    out.rounds = r.number(params, "c", most_pbkdf2_rounds);
    if (r.text(params, "prf") != "hmac-sha256") r.wrong("prf", "\"hmac-sha256\"");
  } else {
    r.wrong("kdf", "\"scrypt\" or \"pbkdf2\"");
  }
  return out;
}

bool derive(const parsed_file& file, std::string_view secret, secret_bytes& out) {
  if (file.is_scrypt) return scrypt(secret, file.salt, file.cost, out);
  return PKCS5_PBKDF2_HMAC(secret.data(), static_cast<int>(secret.size()), raw(file.salt),
                           static_cast<int>(file.salt.size()), static_cast<int>(file.rounds),
                           EVP_sha256(), static_cast<int>(derived_size), out.data()) == 1;
}

}  // namespace

passphrase::passphrase(passphrase&& other) noexcept {
  text_.swap(other.text_);
}
passphrase& passphrase::operator=(passphrase&& other) noexcept {
  text_.swap(other.text_);
  return *this;
}
passphrase::~passphrase() {
  OPENSSL_cleanse(text_.data(), text_.size());
}

result<std::string> encrypt_key(const private_key& key, const passphrase& secret,
                                scrypt_cost cost) {
  const std::string salt = random_bytes(32);
  const std::string iv = random_bytes(16);
  secret_bytes derived(derived_size);
  if (128ULL * cost.n * cost.r > most_memory || !scrypt(secret.view(), salt, cost, derived)) {
    return fail(ec::out_of_memory, "scrypt: not enough memory for that cost");
  }
  secret_bytes ciphertext(32);
  if (!aes_128_ctr(derived.view().substr(0, 16), iv, key.secret(), ciphertext)) {
    return fail(ec::internal, "AES failed");
  }
  const json::object file{{"address", key.address().hex()},
                          {"crypto",
                           {{"cipher", "aes-128-ctr"},
                            {"cipherparams", {{"iv", to_hex(iv)}}},
                            {"ciphertext", to_hex(ciphertext.view())},
                            {"kdf", "scrypt"},
                            {"kdfparams",
                             {{"dklen", derived_size},
                              {"n", cost.n},
                              {"p", cost.p},
                              {"r", cost.r},
                              {"salt", to_hex(salt)}}},
                            {"mac", mac_of(derived, ciphertext.view()).hex()}}},
                          {"id", random_uuid()},
                          {"version", 3}};
  return json::serialize(file);
}

result<private_key> decrypt_key(std::string_view text, const passphrase& secret,
                                std::string_view where) {
  json::error_code bad;
  const json::value parsed = json::parse(without_mark(text), bad);
  if (bad || !parsed.is_object()) {
    return fail(ec::bad_file, fmt::format("{}: expected a key file (JSON)", where));
  }
  file_reader r(where);
  const parsed_file file = read_file(parsed.get_object(), r);
  if (r.failure()) return fail(*r.failure());
  secret_bytes derived(derived_size);
  if (!derive(file, secret.view(), derived)) {
    return fail(ec::bad_file, fmt::format("{}: its key cannot be derived", where));
  }
  if (!equal_in_constant_time(mac_of(derived, file.ciphertext).view(), file.mac)) {
    return fail(ec::unauthorized, fmt::format("{}: the passphrase is wrong", where));
  }
  secret_bytes plain(32);
  if (!aes_128_ctr(derived.view().substr(0, 16), file.iv, file.ciphertext, plain)) {
    return fail(ec::internal, "AES failed");
  }
  auto key = private_key::from_bytes(plain.view());
  if (!key) return fail(ec::bad_file, fmt::format("{}: holds no valid key", where));
  // Some programs leave the address out. By a wrong one a key would be taken for another.
  const json::value* told = parsed.get_object().if_contains("address");
  if (told != nullptr && told->is_string()) {
    const auto named = from_hex<address>(std::string_view(told->get_string()), "address");
    if (named && *named != key->address()) {
      return fail(ec::bad_file, fmt::format("{}: \"address\": expected that of its key, {}", where,
                                            to_text(key->address())));
    }
  }
  return key;
}

}  // namespace lp::payments
