// SPDX-License-Identifier: MIT
// The pickle in a checkpoint that PyTorch wrote. Pickles are programs; this reader knows the
// instructions that build data and runs nothing: what a pickle wants called is either a tensor's
// maker that is understood here, or a dead value.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// A tensor as a pickle describes it.
struct pickled_tensor {
  std::string storage_type;       ///< "FloatStorage"
  std::string storage_key;        ///< the archive's entry is "data/" + key
  std::int64_t storage_size = 0;  ///< elements
  std::int64_t offset = 0;        ///< elements
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> stride;
};

/// The tensors of a pickle by their path in nested dictionaries, "a.b.c"; a dictionary
/// "state_dict", "params_ema" or "params" at the top stands for the whole. ec::bad_file says what
/// is wrong: malformed, truncated, too large, or a call of something that could do harm, which it
/// names.
result<std::map<std::string, pickled_tensor>> read_pickle(std::string_view pickle);

}  // namespace lp::pipelines
