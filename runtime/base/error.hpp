// SPDX-License-Identifier: MIT
// The one set of errors. It travels between nodes as net/wire's Error and maps to HTTP here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace lp {

/// What went wrong, in the terms a caller can act on. The numbers are part of the wire format:
/// append, never renumber.
enum class ec : std::uint8_t {
  none = 0,
  bad_request = 1,         ///< malformed request: not JSON, not UTF-8, not the expected form
  unauthorized = 2,        ///< credentials missing or wrong
  not_found = 3,           ///< no such route, medium, model or pipeline
  method_not_allowed = 4,  ///< the route exists for another method
  too_large = 5,           ///< header, body or value over its limit
  unsupported_media = 6,   ///< content type or file format that is not taken
  invalid_parameters = 7,  ///< one or more named fields are wrong; see error::fields
  busy = 8,                ///< no free slot and the queue is full; another node may have one
  gone = 9,                ///< the node that held the job went away
  load_failed = 10,        ///< the model could not be loaded on that node
  unavailable = 11,        ///< no node that could run the job is left
  deadline_exceeded = 12,  ///< the job's time is over
  cancelled = 13,          ///< the client went away or asked to stop
  out_of_memory = 14,      ///< the device's memory did not suffice
  pipeline_failed = 15,    ///< the pipeline itself failed
  bad_file = 16,           ///< a file on disk is malformed or unreadable
  bad_config = 17,         ///< the configuration is wrong
  internal = 18,           ///< a defect of ours
  draining = 19,           ///< the node takes no new jobs because it is stopping
  payment_required = 20,   ///< the payment is missing, refused or does not cover the price
  payment_expired = 21,    ///< ticket parameters or a quote are over: ask for new ones and retry
  over_budget = 22,        ///< the price is above what the request or the node may spend
};

/// One wrong field of a request, in the form of the reference's 422 answer.
struct field_error {
  std::vector<std::string> loc;  ///< path to the field, for example {"body", "width"}
  std::string msg;               ///< what was expected, for a person
  std::string type;              ///< machine-readable kind, for example "int_parsing"
};

/// An error with its message. Messages name the field or file and say what was expected.
struct error {
  ec code = ec::none;
  std::string message;
  std::vector<field_error> fields;  ///< only with ec::invalid_parameters
};

/// The enumerator's name, for example "load_failed".
std::string_view to_string(ec code);

/// The HTTP status that tells a client about this error.
unsigned http_status(ec code);

/// True where the same job may succeed on another node: busy, gone, load_failed, draining,
/// out_of_memory, payment_required, payment_expired, over_budget. Everything else would fail there
/// too.
bool worth_another_node(ec code);

/// "load_failed: <message>", for logs and terminals.
std::string render(const error& e);

/// What library functions outside actors return.
template <class T>
using result = tl::expected<T, error>;

/// Shorthand for `return fail(ec::bad_file, fmt::format(...))` in a function that returns
/// result<T>.
inline tl::unexpected<error> fail(ec code, std::string message) {
  return tl::unexpected<error>(error{code, std::move(message), {}});
}
inline tl::unexpected<error> fail(error e) {
  return tl::unexpected<error>(std::move(e));
}

}  // namespace lp
