// SPDX-License-Identifier: MIT
#pragma once

#include "net/tls.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// Whether the other nodes would accept the certificate now: within its time, and signed by the
/// authority. ec::bad_config says what is wrong, with the time that it was or will be valid from or
/// to (UTC). Files as load_tls() accepts them.
result<void> check_certificate(const tls_files& files);

}  // namespace lp::net
