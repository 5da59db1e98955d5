// SPDX-License-Identifier: MIT
#pragma once

namespace lp::runtime {

/// What libraries print on their own (CAF, Protobuf, libtorch: Protobuf's handler, std::cerr,
/// std::clog and std::cout) is a warning of the log from now on, a line a record, each told
/// sparingly: a stranger's bytes must not fill a disk by way of a library. For programs that print
/// nothing by these streams themselves; fmt::print and stdio are not touched. Calling it again does
/// nothing.
void log_library_messages();

}  // namespace lp::runtime
