// SPDX-License-Identifier: MIT
// lp::error inside CAF's messages.
#pragma once

#include <string>

#include <caf/error.hpp>

#include "net/wire/cluster.pb.h"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// Carries the whole error: code, message and fields arrive on the other node as they left.
caf::error to_caf(const error& e);

/// The error inside; CAF's own errors (timeouts, lost receivers) become deadline_exceeded, gone or
/// internal, with `what` naming what was being done.
error from_caf(const caf::error& e, const char* what);

/// A job's end in an error, as a message. Paths on this node's disk are cut short in it; the whole
/// error is logged then.
wire::JobFailure make_failure(const std::string& job, const error& e);

/// How CAF prints our errors.
std::string render_caf(std::uint8_t code, caf::atom_value, const caf::message& context);

}  // namespace lp::actors
