// SPDX-License-Identifier: MIT
// Between the values that net/wire reads and those that payments/ computes with. No CAF.
#pragma once

#include <string>

#include "net/wire/cluster.pb.h"
#include "net/wire/lp_rpc.hpp"
#include "payments/authorization.hpp"
#include "payments/payment.hpp"

namespace lp::actors {

payments::ticket_params to_params(const wire::ticket_terms_value& t);
wire::ticket_terms_value to_wire(const payments::ticket_params& p);
payments::payment to_payment(const wire::payment_value& p);
payments::price to_price(const wire::price_value& p);
/// The price as it travels, rounded as to_fraction() does.
result<wire::price_value> to_wire(const payments::price& p, const std::string& model);
wire::Authorisation to_wire(const payments::job_authorization& a);

}  // namespace lp::actors
