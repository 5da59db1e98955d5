// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "pipelines/description.hpp"

namespace lp::pipelines {

/// The OpenAPI 3.1 document of a gateway that offers these pipelines. Routes, operation ids, schema
/// names, types and defaults are the reference's, so that clients generated from its document work;
/// ranges, more error statuses and the answer's `job` are additions. `version` is the program's.
boost::json::object openapi(const std::vector<description>& pipelines, std::string_view version);

}  // namespace lp::pipelines
