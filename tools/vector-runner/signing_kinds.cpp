// SPDX-License-Identifier: MIT
#include <algorithm>
#include <stdexcept>

#include <fmt/core.h>

#include "payments/keccak.hpp"
#include "payments/keys.hpp"
#include "tools/vector-runner/fields.hpp"
#include "tools/vector-runner/kinds.hpp"

namespace lp::vectors {

namespace {

using namespace payments;

// The error that these bytes meet as a signature over the message, or whose they are.
std::string judge(const std::string& message, const std::string& raw) {
  const auto sig = parse_signature(raw);
  if (!sig) return sig.error().message;
  const auto signer = recover(personal_digest(message), *sig);
  return signer ? to_text(*signer) : signer.error().message;
}

void expect_error(const json::object& vector, const std::string& got, comparison& c) {
  const std::string part = text_field(vector, "error");
  c.text("error", vector.if_contains("error"), got.find(part) != std::string::npos ? part : got);
}

void run_every_other_v(const json::object& vector, comparison& c) {
  const json::value& allowed = field(vector, "v_not_in");
  if (!allowed.is_array()) throw std::runtime_error("v_not_in: expected a list");
  const hash32 message = keccak256("any message");
  const signature good = private_key::generate().sign_message(message);
  for (int v = 0; v < 256; ++v) {
    const json::array& list = allowed.get_array();
    if (std::find(list.begin(), list.end(), json::value(v)) != list.end()) continue;
    signature s = good;
    s.bytes[64] = static_cast<std::uint8_t>(v);
    expect_error(vector, judge(message.str(), s.str()), c);
  }
}

void signed_by(const json::object& vector, const hash32& digest, comparison& c) {
  const private_key key = key_field(vector, "key");
  const signature sig = key.sign_message(digest);
  c.hex("signed32", vector.if_contains("signed32"), digest.str());
  c.hex("sig", vector.if_contains("sig"), sig.str());
  const auto signer = recover_message(digest, sig);
  if (!signer || *signer != key.address()) c.failure("the signature is not the key's");
}

}  // namespace

void run_recovery(const json::object& vector, comparison& c) {
  if (vector.contains("v_not_in")) return run_every_other_v(vector, c);
  const std::string message = bytes_field(vector, "msg");
  const std::string raw = vector.contains("sig_len")
                              ? std::string(small_field(vector, "sig_len") % 4096, '\1')
                              : bytes_field(vector, "sig");
  const std::string got = judge(message, raw);
  if (vector.contains("error")) return expect_error(vector, got, c);
  c.text("signer", &field(vector, "signer"), got);
}

void run_auth_token(const json::object& vector, comparison& c) {
  const hash32 token = hmac_sha256(
      text_field(vector, "secret_ascii"),
      {text_field(vector, "session_id"), to_minimal_bytes(number_field(vector, "expiration"))});
  c.hex("token", vector.if_contains("token"), token.str());
}

void run_signed_address(const json::object& vector, comparison& c) {
  const payments::address who = key_field(vector, "key").address();
  c.text("address", vector.if_contains("address"), to_text(who));
  signed_by(vector, keccak256(to_text(who)), c);
}

void run_signed_segment(const json::object& vector, comparison& c) {
  signed_by(vector, keccak256(bytes_field(vector, "flatten")), c);
}

}  // namespace lp::vectors
