// SPDX-License-Identifier: MIT
// A job's files where it is run. What its parameters say of them decided whether the job was taken
// and what it costs, and whoever said it may have lied: here the files themselves are at hand.
#pragma once

#include "pipelines/description.hpp"
#include "pipelines/media/decode.hpp"
#include "pipelines/model.hpp"

namespace lp::pipelines {

/// Each file that the parameters speak of is there once and has as many bytes as they say, and
/// there is no other. ec::invalid_parameters naming the first field of which that is not true.
result<void> check_files(const description& d, const job_input& input);

/// A decoded picture has the sides that the parameters give it; else ec::invalid_parameters.
result<void> check_sides(const picture& decoded, const boost::json::object& params);

/// Decodes the attachments that the description says are pictures into `input.pictures`, with the
/// engine, and drops them; all is checked as above. Pixels are limited by the description, the rest
/// by `limits`, each picture apart. A damaged one, or one beyond the limits, is
/// ec::invalid_parameters naming its field; ec::cancelled if it was stopped.
result<void> decode_pictures(const description& d, job_input& input, decode_limits limits = {});

}  // namespace lp::pipelines
