// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/value.hpp>

#include "runtime/base/error.hpp"

namespace lp::job {

/// A file that an answer points to.
struct answer_file {
  std::string url;  ///< absolute, relative to the gateway, or a data URL
  std::int64_t seed = 0;
  bool nsfw = false;
};

/// What a gateway answered.
struct answer {
  std::vector<answer_file> files;
  std::string id;
  std::string model;
  std::vector<std::string> route;
  std::vector<std::pair<std::string, double>> stages;  ///< name, milliseconds
  std::vector<std::string> notes;
};

/// Reads a successful answer. What is absent stays empty; a member of another type than it should
/// have is ec::bad_request.
result<answer> read_answer(const boost::json::value& body);

/// What an unsuccessful answer says, whichever of the error forms in use it has:
/// {"detail": {"msg"}}, {"detail": [{"loc", "msg"}]}, {"error": {"message"}}, or plain text.
std::string error_text(unsigned status, std::string_view body);

/// The bytes in a base64 data URL; ec::bad_request if it is none.
result<std::string> data_url_bytes(std::string_view url);

}  // namespace lp::job
