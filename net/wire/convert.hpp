// SPDX-License-Identifier: MIT
#pragma once

#include "net/wire/cluster.pb.h"
#include "runtime/base/error.hpp"

namespace lp::wire {

/// An error as it travels, and back. A code that this build does not know becomes ec::internal with
/// the number in the message.
Error to_wire(const lp::error& e);
lp::error from_wire(const Error& e);

}  // namespace lp::wire
