// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "pipelines/description.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "tools/lp-job/answer.hpp"
#include "tools/lp-job/options.hpp"

namespace lp::job {

/// Where a gateway is: "http://HOST:PORT", optionally with a path below which its routes lie.
struct gateway_address {
  std::string host;
  std::uint16_t port = 0;
  std::string path;  ///< empty, or starting with "/" and not ending with it

  std::string origin() const;  ///< "http://HOST:PORT"
};

/// ec::bad_config, with the expected form, for anything else.
result<gateway_address> parse_url(const std::string& url);

/// Posts a job, as a form if the pipeline takes one or there are files, and returns the answer's
/// body, a JSON value. A refusal is an error with what the gateway said.
result<boost::json::value> submit(const gateway_address& gateway, const pipelines::description& d,
                                  const job_body& job, const std::string& token,
                                  time_point deadline);

/// The gateway's health report. Asks once, and again until it says that jobs can be taken (status
/// "OK") or until that time, which gives ec::unavailable with the last answer or reason. One answer
/// may take five seconds.
result<boost::json::value> health(const gateway_address& gateway, time_point until);

/// The bytes that a file's URL stands for.
result<std::string> fetch(const gateway_address& gateway, const std::string& url,
                          time_point deadline);

}  // namespace lp::job
