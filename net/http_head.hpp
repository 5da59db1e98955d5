// SPDX-License-Identifier: MIT
// Inside the server: the head of an answer.
#pragma once

#include <string>
#include <string_view>

#include "net/http_message.hpp"

namespace lp::net {

/// False for the statuses that HTTP defines to have no body: 1xx, 204, 304.
bool may_have_body(unsigned status);

/// Status line and headers with the empty line, into `out` (its memory is reused). `r.count` is
/// the body's size. An empty `request_id` is left out. Control characters in values become spaces,
/// so that no header can be smuggled in through one.
void write_head(std::string& out, const response& r, std::string_view request_id, bool keep_alive);

}  // namespace lp::net
