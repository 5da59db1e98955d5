// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "tools/lp-job/picture.hpp"

namespace lp::job {

enum class colours {
  palette,  ///< the 256 colours of xterm's palette
  exact,    ///< 24 bits; terminals that take them set COLORTERM
};

/// The picture as text: a character stands for two pixels, the upper half block in the upper one's
/// colour on the lower one's. At most `columns` wide and `rows` high (both at least 1), never
/// enlarged, with square pixels. Each line ends by resetting the colours.
result<std::string> half_blocks(const picture& p, int columns, int rows, colours depth);

}  // namespace lp::job
