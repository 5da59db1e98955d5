// SPDX-License-Identifier: MIT
#include "pipelines/decode_pictures.hpp"

#include <fmt/format.h>

#include "pipelines/engine.hpp"

namespace lp::pipelines {

namespace {

error wrong_picture(const std::string& field, const error& why) {
  // A lack of memory is this node's, everything else the file's.
  if (why.code == ec::out_of_memory || why.code == ec::internal) return why;
  return {ec::invalid_parameters,
          fmt::format("{}: {}", field, why.message),
          {{{"body", field}, why.message, "image_damaged"}}};
}

}  // namespace

result<void> decode_pictures(const description& d, job_input& input) {
  std::vector<attachment> others;
  for (attachment& file : input.attachments) {
    const parameter* p = d.find(file.field);
    if (p == nullptr || !p->file.picture) {
      others.push_back(std::move(file));
      continue;
    }
    const auto engine = get_engine();
    if (!engine) return fail(engine.error());
    auto decoded = (*engine)->decode_picture(*file.data, p->file.max_pixels);
    if (!decoded) return fail(wrong_picture(file.field, decoded.error()));
    decoded->field = file.field;
    input.pictures.push_back(std::move(*decoded));
  }
  input.attachments = std::move(others);
  return {};
}

}  // namespace lp::pipelines
