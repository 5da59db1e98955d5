// SPDX-License-Identifier: MIT
#include "runtime/base/error.hpp"

namespace lp {

namespace {

struct row {
  ec code;
  std::string_view name;
  unsigned status;
};

// 499 is the status that web servers log when the client closed the connection first.
constexpr row table[] = {
    {ec::none, "none", 200},
    {ec::bad_request, "bad_request", 400},
    {ec::unauthorized, "unauthorized", 401},
    {ec::not_found, "not_found", 404},
    {ec::method_not_allowed, "method_not_allowed", 405},
    {ec::too_large, "too_large", 413},
    {ec::unsupported_media, "unsupported_media", 415},
    {ec::invalid_parameters, "invalid_parameters", 422},
    {ec::busy, "busy", 503},
    {ec::gone, "gone", 503},
    {ec::load_failed, "load_failed", 503},
    {ec::unavailable, "unavailable", 503},
    {ec::deadline_exceeded, "deadline_exceeded", 503},
    {ec::cancelled, "cancelled", 499},
    {ec::out_of_memory, "out_of_memory", 500},
    {ec::pipeline_failed, "pipeline_failed", 500},
    {ec::bad_file, "bad_file", 500},
    {ec::bad_config, "bad_config", 500},
    {ec::internal, "internal", 500},
    {ec::draining, "draining", 503},
    {ec::payment_required, "payment_required", 402},
    {ec::payment_expired, "payment_expired", 402},
    {ec::over_budget, "over_budget", 402},
};

const row& find(ec code) {
  for (const row& r : table) {
    if (r.code == code) return r;
  }
  static constexpr row unknown{ec::internal, "unknown", 500};
  return unknown;
}

}  // namespace

std::string_view to_string(ec code) {
  return find(code).name;
}

unsigned http_status(ec code) {
  return find(code).status;
}

bool worth_another_node(ec code) {
  switch (code) {
    case ec::busy:
    case ec::gone:
    case ec::load_failed:
    case ec::draining:
    case ec::out_of_memory:
    case ec::payment_required:
    case ec::payment_expired:
    case ec::over_budget:
      return true;
    default:
      return false;
  }
}

std::string render(const error& e) {
  std::string out{to_string(e.code)};
  if (!e.message.empty()) out.append(": ").append(e.message);
  for (const field_error& f : e.fields) {
    out.append("; ");
    for (const std::string& part : f.loc) out.append(part).append(".");
    if (!f.loc.empty()) out.back() = ' ';
    out.append(f.msg);
  }
  return out;
}

}  // namespace lp
