// SPDX-License-Identifier: MIT
// A pipeline is described once; validation, OpenAPI, forms and prices are all read off this.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/value.hpp>

#include "pipelines/device.hpp"
#include "pipelines/model.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// What a file of a request may be.
struct file_rules {
  bool picture = false;          ///< one of the formats that read_image_header() knows
  bool mask = false;             ///< a picture of which the brightness counts, not what is seen
  std::uint64_t bytes = 0;       ///< most; 0: as many as a request may have
  std::uint32_t min_side = 1;    ///< of a picture, in pixels
  std::uint32_t max_side = 0;    ///< of a picture, in pixels
  std::uint64_t max_pixels = 0;  ///< of a picture, width times height
};

struct parameter {
  enum class kind { string, integer, number, boolean, file };

  std::string name;
  kind type = kind::string;
  std::string help;                            ///< one or two sentences, ends with a full stop
  std::optional<boost::json::value> fallback;  ///< the default; none: required or truly optional
  bool required = false;
  std::optional<double> min;         ///< smallest number, or fewest characters of a string
  std::optional<double> max;         ///< largest number, or most characters (code points)
  std::vector<std::string> choices;  ///< allowed strings; empty: any
  file_rules file = {};              ///< with kind::file
  std::string advice = {};           ///< what to do about a number out of range; ends its error
};

/// How a request carries the parameters. With `either` a form may take the place of JSON, for the
/// sake of its files.
enum class encoding { json, multipart, either };

/// What the answer looks like; each is a schema of the reference's OpenAPI document.
enum class answer { images, video, text, audio, masks, json };

struct description {
  std::string name;          ///< "text-to-image"; its route is "/" + name
  std::string title;         ///< "Text To Image"
  std::string summary;       ///< one sentence
  std::string operation_id;  ///< "genTextToImage": generated clients take method names from it
  encoding body = encoding::json;
  answer result_form = answer::images;
  std::vector<parameter> parameters;  ///< in the reference's order

  const parameter* find(std::string_view parameter_name) const;

  std::string unit;  ///< billing unit for a person: "pixel-step"
  /// Billing units of a validated request.
  std::function<double(const boost::json::object& params)> units;

  /// What no parameter alone can tell, asked by validate() once every parameter is right; may be
  /// empty.
  std::function<result<void>(const boost::json::object& params)> check;

  bool needs_model = true;  ///< false: one built-in model named after the pipeline
  /// Whether a model folder is of this pipeline's kind, from its small files alone.
  std::function<bool(const std::filesystem::path& folder)> accepts;
  /// Loads a model; may take minutes; called off the actors' threads.
  std::function<result<std::shared_ptr<model>>(const std::filesystem::path& folder,
                                               const device& where)>
      load;
};

/// All pipelines built into this program, ordered by name. Never changes after start-up.
const std::vector<description>& all();

/// The pipeline of that name, or null.
const description* find(std::string_view name);

/// Puts a pipeline on the list; use through LP_PIPELINE at namespace scope.
bool add(description d);

/// Registers `maker()` (returning a description) before main() runs.
#define LP_PIPELINE(maker) \
  [[maybe_unused]] static const bool lp_registered_##maker = ::lp::pipelines::add(maker())

/// A file as it came with a request.
struct given_file {
  std::string field;  ///< the parameter it belongs to
  std::string_view bytes;
};

/// The request's parameters checked against the description, defaults filled in. Numbers arrive as
/// int64 or double according to the parameter's kind. What counts as a number or a boolean is what
/// the reference takes: 7.0, "7" and true are integers, "1.5" is a number, 0, 1, "yes" and "off"
/// are booleans. A null stands for an absent member unless the parameter is required. Every wrong
/// field is listed in one ec::invalid_parameters, in the form of the reference's 422 answer; if
/// all are right, description::check has the last word. Unknown members are ignored, as the
/// reference does.
///
/// Files are checked against their rules, and what they are becomes the parameter's value:
/// {"bytes": 9123}, and for pictures also "format", and "width" and "height" as they are seen.
/// Among `files` of one name the first counts. A member of `body` never stands for a file.
result<boost::json::object> validate(const description& d, const boost::json::value& body,
                                     std::span<const given_file> files = {});

/// The same where the files are elsewhere: a file's parameter holds what validate() said of it, in
/// that form, and is judged by the same rules. That it is true of the file is for check_files() to
/// say, where the file is.
result<boost::json::object> validate_without_files(const description& d,
                                                   const boost::json::value& params);

/// A form's text fields as validate() takes them: an empty text stands for an absent number or
/// boolean, as in a form on a page.
boost::json::object form_values(const description& d,
                                std::span<const std::pair<std::string, std::string_view>> fields);

}  // namespace lp::pipelines
