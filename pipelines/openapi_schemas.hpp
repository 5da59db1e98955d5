// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <boost/json/object.hpp>

namespace lp::pipelines {

/// Adds the schema of that answer ("ImageResponse", "TextResponse", "AudioResponse",
/// "MasksResponse", "JSONResponse") and those it refers to.
void add_answer_schemas(std::string_view answer, boost::json::object& schemas);

/// Adds what every document needs: errors, health and version.
void add_common_schemas(boost::json::object& schemas);

}  // namespace lp::pipelines
