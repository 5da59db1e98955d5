// SPDX-License-Identifier: MIT
// What a model's folder holds and what running it takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pipelines/weights/weights_summary.hpp"
#include "runtime/base/error.hpp"

namespace lp::model_tool {

struct part_report {
  std::string name;
  std::string class_name;
  pipelines::weights_summary weights;
};

/// Memory that one picture of that size takes beside the weights.
struct memory_report {
  int side = 0;  ///< of a square picture, pixels
  std::uint64_t bytes = 0;
};

struct model_report {
  std::string family;                  ///< its pipeline class
  std::vector<std::string> pipelines;  ///< which of ours run it
  std::vector<part_report> parts;
  std::vector<std::string> missing;   ///< or damaged, for a person; empty if it is whole
  std::vector<std::string> absent;    ///< parts that are named but need not be there
  std::vector<memory_report> memory;  ///< empty if it cannot be told
  std::string why_no_memory;
  std::string predicts;            ///< of a checkpoint in one file
  std::vector<std::string> notes;  ///< what the engine left out or assumed when it loaded it

  pipelines::weights_summary total() const;
};

/// Of a folder or of a checkpoint in one file. Reads headers and settings alone. With `ask_engine`
/// the model is loaded, so that the engine tells what it needs at 512 and 1024 pixels a side, or
/// why it cannot be.
result<model_report> inspect(const std::filesystem::path& model, bool ask_engine);

/// For a terminal, a line a fact.
std::string to_text(const model_report& report);

}  // namespace lp::model_tool
