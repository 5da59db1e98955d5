// SPDX-License-Identifier: MIT
#include "net/wire/convert.hpp"

#include <fmt/core.h>

namespace lp::wire {

namespace {

constexpr auto last_code = static_cast<std::uint32_t>(ec::over_budget);

}  // namespace

Error to_wire(const lp::error& e) {
  Error out;
  out.set_code(static_cast<std::uint32_t>(e.code));
  out.set_message(e.message);
  for (const field_error& f : e.fields) {
    auto* field = out.add_fields();
    for (const std::string& step : f.loc) field->add_loc(step);
    field->set_msg(f.msg);
    field->set_type(f.type);
  }
  return out;
}

lp::error from_wire(const Error& e) {
  lp::error out;
  if (e.code() > last_code) {
    out.code = ec::internal;
    out.message = fmt::format("error {} of a newer peer: {}", e.code(), e.message());
  } else {
    out.code = static_cast<ec>(e.code());
    out.message = e.message();
  }
  for (const FieldError& f : e.fields()) {
    out.fields.push_back({{f.loc().begin(), f.loc().end()}, f.msg(), f.type()});
  }
  return out;
}

}  // namespace lp::wire
