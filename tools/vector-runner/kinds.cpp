// SPDX-License-Identifier: MIT
#include "tools/vector-runner/kinds.hpp"

#include <map>
#include <stdexcept>

#include <fmt/core.h>

#include "payments/keccak.hpp"
#include "tools/vector-runner/fields.hpp"

namespace lp::vectors {

namespace {

const std::map<std::string, runner>& runners() {
  static const std::map<std::string, runner> all{
      {"ticket_hash", run_ticket_hash},
      {"auxData", run_aux_data},
      {"ecrecover_eip191", run_recovery},
      {"winProb", run_win_probability},
      {"recipientRand_hmac", run_recipient_rand},
      {"authToken_hmac", run_auth_token},
      {"orchestratorRequest_sig", run_signed_address},
      {"segData_sig", run_signed_segment},
      {"protobuf_wire", run_wire},
  };
  return all;
}

// Selectors are the first 4 bytes of the Keccak-256 of a function's signature, topics all 32 of an
// event's.
void run_digests(const std::string& kind, const json::object& vectors, std::size_t length,
                 const reporter& report) {
  for (const auto& [key, expected] : vectors) {
    comparison c;
    try {
      c.hex("hash", &expected, payments::keccak256(key).str().substr(0, length));
    } catch (const std::exception& e) {
      c.failure(e.what());
    }
    report(fmt::format("{} {}", kind, std::string_view(key)), c.result());
  }
}

void run_one(runner run, std::string name, const json::value& vector, const reporter& report) {
  comparison c;
  try {
    if (!vector.is_object()) throw std::runtime_error("expected an object");
    run(vector.get_object(), c);
  } catch (const std::exception& e) {
    c.failure(e.what());
  }
  report(std::move(name), c.result());
}

std::string name_of(const std::string& kind, const json::value& vector, std::size_t at) {
  if (const auto* object = vector.if_object()) {
    const auto* name = object->if_contains("name");
    if (name != nullptr && name->is_string()) {
      return fmt::format("{} {}", kind, std::string_view(name->get_string()));
    }
  }
  return fmt::format("{}[{}]", kind, at);
}

}  // namespace

bool run_kind(const std::string& kind, const json::value& vectors, const reporter& report) {
  const auto* object = vectors.if_object();
  if (object != nullptr && (kind == "selectors" || kind == "event_topics")) {
    run_digests(kind, *object, kind == "selectors" ? 4 : 32, report);
    return true;
  }
  // "win_lottery" and whatever follows: the origin is part of the name.
  if (object != nullptr && kind.starts_with("win_lottery")) {
    run_lottery(kind, *object, report);
    return true;
  }
  const auto run = runners().find(kind);
  if (run == runners().end()) return false;
  if (const auto* list = vectors.if_array()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      run_one(run->second, name_of(kind, (*list)[i], i), (*list)[i], report);
    }
  } else {
    run_one(run->second, kind, vectors, report);
  }
  return true;
}

}  // namespace lp::vectors
