// SPDX-License-Identifier: MIT
#include "actors/errors.hpp"

#include <fmt/core.h>
#include <caf/exit_reason.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

#include "net/wire/convert.hpp"
#include "runtime/base/log.hpp"
#include "runtime/base/redact.hpp"

namespace lp::actors {

namespace {

constexpr caf::atom_value category = caf::atom("lp");

}  // namespace

caf::error to_caf(const error& e) {
  // CAF takes code 0 for success, so an error without a code would vanish.
  const ec code = e.code == ec::none ? ec::internal : e.code;
  return {static_cast<std::uint8_t>(code), category,
          caf::make_message(wire::to_wire(e).SerializeAsString())};
}

error from_caf(const caf::error& e, const char* what) {
  if (e.category() == category) {
    wire::Error parsed;
    if (e.context().match_elements<std::string>() &&
        parsed.ParseFromString(e.context().get_as<std::string>(0))) {
      return wire::from_wire(parsed);
    }
    return {static_cast<ec>(e.code()), what, {}};
  }
  if (e == caf::sec::request_timeout) {
    return {ec::deadline_exceeded, fmt::format("{} took too long", what), {}};
  }
  if (e == caf::sec::request_receiver_down || e.category() == caf::atom("exit")) {
    return {ec::gone, fmt::format("{}: the node went away", what), {}};
  }
  return {ec::internal, fmt::format("{}: {}", what, caf::to_string(e)), {}};
}

wire::JobFailure make_failure(const std::string& job, const error& e) {
  // Every failure that is on its way to a client passes here.
  const error told = without_paths(e);
  if (told.message != e.message) log::warn("job", "{}: {}", job, render(e));
  wire::JobFailure f;
  f.set_id(job);
  *f.mutable_error() = wire::to_wire(told);
  return f;
}

std::string render_caf(std::uint8_t code, caf::atom_value, const caf::message& context) {
  return render(from_caf(caf::error{code, category, context}, ""));
}

}  // namespace lp::actors
