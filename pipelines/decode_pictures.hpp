// SPDX-License-Identifier: MIT
#pragma once

#include "pipelines/description.hpp"
#include "pipelines/model.hpp"

namespace lp::pipelines {

/// Decodes the attachments that the description says are pictures into `input.pictures`, with the
/// engine, and drops them. A damaged one, or one beyond the description's limits, is
/// ec::invalid_parameters naming its field.
result<void> decode_pictures(const description& d, job_input& input);

}  // namespace lp::pipelines
