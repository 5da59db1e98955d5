// SPDX-License-Identifier: MIT
#include "pipelines/job_files.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "pipelines/engine.hpp"

namespace lp::pipelines {

namespace {

namespace json = boost::json;

error wrong_picture(const std::string& field, const error& why) {
  // A lack of memory is this node's, a stop the client's, everything else the file's.
  if (why.code == ec::out_of_memory || why.code == ec::internal || why.code == ec::cancelled) {
    return why;
  }
  return {ec::invalid_parameters,
          fmt::format("{}: {}", field, why.message),
          {{{"body", field}, why.message, "image_damaged"}}};
}

tl::unexpected<error> wrong_file(const std::string& field, std::string type, std::string msg) {
  error bad{ec::invalid_parameters, fmt::format("{}: {}", field, msg), {}};
  bad.fields.push_back({{"body", field}, std::move(msg), std::move(type)});
  return fail(std::move(bad));
}

// A number that the parameters give for a file; -1 where they do not.
std::int64_t said_of(const json::object& params, const std::string& field, std::string_view what) {
  const json::value* facts = params.if_contains(field);
  if (facts == nullptr || !facts->is_object()) return -1;
  const json::value* number = facts->get_object().if_contains(what);
  if (number == nullptr || !number->is_number()) return -1;
  boost::system::error_code bad;
  const auto out = number->to_number<std::int64_t>(bad);
  return bad ? -1 : out;
}

std::size_t files_of(const job_input& input, const std::string& field) {
  return static_cast<std::size_t>(
      std::count_if(input.attachments.begin(), input.attachments.end(),
                    [&](const attachment& a) { return a.field == field; }));
}

}  // namespace

result<void> check_files(const description& d, const job_input& input) {
  for (const parameter& p : d.parameters) {
    if (p.type != parameter::kind::file) continue;
    const std::size_t expected = input.params.contains(p.name) ? 1 : 0;
    if (const auto there = files_of(input, p.name); there != expected) {
      return wrong_file(p.name, "file_count",
                        fmt::format("there should be {} such file, not {}", expected, there));
    }
  }
  for (const attachment& file : input.attachments) {
    const parameter* p = d.find(file.field);
    if (p == nullptr || p->type != parameter::kind::file) {
      return wrong_file(file.field, "file_count", "there is no such file parameter");
    }
    const auto said = said_of(input.params, file.field, "bytes");
    if (said == static_cast<std::int64_t>(file.data->size())) continue;
    return wrong_file(
        file.field, "file_facts",
        fmt::format("the file has {} bytes, the request says {}", file.data->size(), said));
  }
  return {};
}

result<void> check_sides(const picture& decoded, const json::object& params) {
  const auto width = said_of(params, decoded.field, "width");
  const auto height = said_of(params, decoded.field, "height");
  if (width == decoded.width && height == decoded.height) return {};
  return wrong_file(decoded.field, "file_facts",
                    fmt::format("the picture has {}x{} pixels, the request says {}x{}",
                                decoded.width, decoded.height, width, height));
}

result<void> decode_pictures(const description& d, job_input& input, decode_limits limits) {
  if (auto ok = check_files(d, input); !ok) return ok;
  std::vector<attachment> others;
  for (attachment& file : input.attachments) {
    const parameter* p = d.find(file.field);
    if (p == nullptr || !p->file.picture) {
      others.push_back(std::move(file));
      continue;
    }
    const auto engine = get_engine();
    if (!engine) return fail(engine.error());
    limits.max_pixels = p->file.max_pixels;
    const auto form = p->file.mask ? picture_form::mask : picture_form::rgb;
    auto decoded = (*engine)->decode_picture(*file.data, form, limits);
    if (!decoded) return fail(wrong_picture(file.field, decoded.error()));
    decoded->field = file.field;
    if (auto ok = check_sides(*decoded, input.params); !ok) return ok;
    input.pictures.push_back(std::move(*decoded));
  }
  input.attachments = std::move(others);
  return {};
}

}  // namespace lp::pipelines
