// SPDX-License-Identifier: MIT
#include "pipelines/openapi.hpp"

#include <cmath>

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "pipelines/openapi_schemas.hpp"

namespace lp::pipelines {

namespace json = boost::json;

namespace {

// "num_images" -> "Num Images", the way the reference's generator titles its members.
std::string title_of(std::string_view name) {
  std::string out;
  bool start = true;
  for (const char c : name) {
    if (c == '_') {
      out += ' ';
    } else {
      out += start && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    start = c == '_';
  }
  return out;
}

// "text-to-image" -> "textToImage".
std::string method_name(std::string_view pipeline) {
  std::string out;
  bool upper = false;
  for (const char c : pipeline) {
    if (c != '-') out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = c == '-';
  }
  return out;
}

// "Text To Image" -> "TextToImageParams"; forms are named after their operation.
std::string schema_name(const description& d) {
  if (d.body == encoding::multipart) return "Body_" + d.operation_id;
  std::string out;
  for (const char c : d.title) {
    if (c != ' ') out += c;
  }
  return out + "Params";
}

std::string_view answer_name(answer form) {
  switch (form) {
    case answer::images:
    case answer::video:  // a gateway answers with a film in the place of a picture
      return "ImageResponse";
    case answer::text:
      return "TextResponse";
    case answer::audio:
      return "AudioResponse";
    case answer::masks:
      return "MasksResponse";
    case answer::json:
      break;
  }
  return "JSONResponse";
}

json::object reference_to(std::string_view schema) {
  return {{"$ref", fmt::format("#/components/schemas/{}", schema)}};
}

json::object content(std::string_view type, json::object schema) {
  return {{type, json::object{{"schema", std::move(schema)}}}};
}

json::value bound(const parameter& p, double value) {
  if (p.type == parameter::kind::number) return value;
  return static_cast<std::int64_t>(value);
}

std::string file_help(const file_rules& rules) {
  if (!rules.picture) return {};
  return fmt::format(" A PNG, JPEG, WebP or GIF picture of at most {} pixels, {} a side.",
                     rules.max_pixels, rules.max_side);
}

json::object parameter_schema(const parameter& p) {
  json::object out;
  switch (p.type) {
    case parameter::kind::integer:
      out["type"] = "integer";
      break;
    case parameter::kind::number:
      out["type"] = "number";
      break;
    case parameter::kind::boolean:
      out["type"] = "boolean";
      break;
    case parameter::kind::file:
      out["format"] = "binary";
      [[fallthrough]];
    case parameter::kind::string:
      out["type"] = "string";
      break;
  }
  out["title"] = title_of(p.name);
  out["description"] = p.help + file_help(p.file);
  if (p.fallback) out["default"] = *p.fallback;
  const bool text = p.type == parameter::kind::string;
  if (p.min) out[text ? "minLength" : "minimum"] = bound(p, *p.min);
  if (p.max) out[text ? "maxLength" : "maximum"] = bound(p, *p.max);
  if (!p.choices.empty()) out["enum"] = json::array(p.choices.begin(), p.choices.end());
  return out;
}

json::object body_schema(const description& d) {
  json::object properties;
  json::array required;
  for (const parameter& p : d.parameters) {
    properties[p.name] = parameter_schema(p);
    if (p.required) required.emplace_back(p.name);
  }
  json::object out{{"properties", std::move(properties)}, {"type", "object"}};
  if (!required.empty()) out["required"] = std::move(required);
  out["title"] = schema_name(d);
  return out;
}

json::object error_response(std::string_view description, std::string_view schema) {
  return {{"description", description},
          {"content", content("application/json", reference_to(schema))}};
}

json::object responses(const description& d) {
  json::object schema = reference_to(answer_name(d.result_form));
  schema["x-speakeasy-name-override"] = "data";
  json::object out;
  out["200"] = json::object{{"description", "Successful Response"},
                            {"content", content("application/json", std::move(schema))}};
  constexpr std::pair<const char*, const char*> errors[] = {{"400", "Bad Request"},
                                                            {"401", "Unauthorized"},
                                                            {"404", "Not Found"},
                                                            {"413", "Content Too Large"},
                                                            {"415", "Unsupported Media Type"},
                                                            {"500", "Internal Server Error"},
                                                            {"503", "Service Unavailable"}};
  for (const auto& [status, text] : errors) out[status] = error_response(text, "HTTPError");
  out["422"] = error_response("Validation Error", "HTTPValidationError");
  return out;
}

// Clients without a way to fetch files ask for them inside the answer.
json::object media_parameter() {
  json::object schema{{"type", "string"}, {"enum", json::array{"url", "data"}}, {"default", "url"}};
  return {{"name", "media"},
          {"in", "query"},
          {"required", false},
          {"description", "Whether files come as URLs of this gateway or as data URLs."},
          {"schema", std::move(schema)}};
}

json::object max_price_parameter() {
  return {
      {"name", "max_price"},
      {"in", "query"},
      {"required", false},
      {"description",
       "The most that the job may cost: a number of wei, \"20 gwei\", \"0.5 eth\" or, where the "
       "gateway knows its rate, \"0.02 usd\"; also a member of the body."},
      {"schema", json::object{{"type", "string"}}}};
}

// What each kind of body looks like; of files also which types are taken.
json::object request_content(const description& d) {
  json::object out;
  if (d.body != encoding::multipart) {
    out["application/json"] = json::object{{"schema", reference_to(schema_name(d))}};
  }
  if (d.body == encoding::json) return out;
  json::object form{{"schema", reference_to(schema_name(d))}};
  json::object types;
  for (const parameter& p : d.parameters) {
    if (!p.file.picture) continue;
    types[p.name] = json::object{{"contentType", "image/png, image/jpeg, image/webp, image/gif"}};
  }
  if (!types.empty()) form["encoding"] = std::move(types);
  out["multipart/form-data"] = std::move(form);
  return out;
}

json::object pipeline_path(const description& d) {
  json::object post;
  post["tags"] = json::array{"generate"};
  post["summary"] = d.title;
  post["description"] = d.summary;
  post["operationId"] = d.operation_id;
  json::array in_query{max_price_parameter()};
  if (d.result_form == answer::images || d.result_form == answer::video) {
    in_query.push_back(media_parameter());
  }
  post["parameters"] = std::move(in_query);
  post["requestBody"] = json::object{{"content", request_content(d)}, {"required", true}};
  post["responses"] = responses(d);
  post["security"] = json::array{json::object{{"HTTPBearer", json::array()}}};
  post["x-speakeasy-name-override"] = method_name(d.name);
  return {{"post", std::move(post)}};
}

json::object quote_path(const std::vector<description>& pipelines) {
  json::array names;
  for (const description& d : pipelines) names.emplace_back(d.name);
  json::object form{
      {"type", "object"},
      {"required", json::array{"pipeline"}},
      {"properties", json::object{{"pipeline", json::object{{"type", "string"}, {"enum", names}}}}},
      {"description", "The pipeline's own form with the field \"pipeline\"."}};
  json::object body = content("application/json", reference_to("QuoteParams"));
  body["multipart/form-data"] = json::object{{"schema", std::move(form)}};
  json::object answers{
      {"200",
       json::object{{"description", "Successful Response"},
                    {"content", content("application/json", reference_to("QuoteResponse"))}}},
      {"401", error_response("Unauthorized", "HTTPError")},
      {"422", error_response("Validation Error", "HTTPValidationError")},
      {"503", error_response("Service Unavailable", "HTTPError")}};
  json::object post{{"tags", json::array{"generate"}},
                    {"summary", "Quote"},
                    {"description", "What a job would cost; nothing runs and nothing is paid."},
                    {"operationId", "quote"},
                    {"requestBody", json::object{{"content", std::move(body)}, {"required", true}}},
                    {"responses", std::move(answers)},
                    {"security", json::array{json::object{{"HTTPBearer", json::array()}}}}};
  return {{"post", std::move(post)}};
}

json::object get_path(std::string_view title, std::string_view operation, std::string_view schema) {
  json::object ok{{"description", "Successful Response"},
                  {"content", content("application/json", reference_to(schema))}};
  return {{"get", json::object{{"summary", title},
                               {"operationId", operation},
                               {"responses", json::object{{"200", std::move(ok)}}}}}};
}

json::object media_path() {
  json::object name{{"name", "name"},
                    {"in", "path"},
                    {"required", true},
                    {"description", "The medium's id with its ending, as an answer's url has it."},
                    {"schema", json::object{{"type", "string"}}}};
  json::object bytes{{"type", "string"}, {"format", "binary"}};
  json::object file{{"description", "The file"},
                    {"content", content("image/png", std::move(bytes))}};
  return {{"get", json::object{{"summary", "Media"},
                               {"description", "A file of an answer, until it expires."},
                               {"operationId", "media"},
                               {"parameters", json::array{std::move(name)}},
                               {"responses",
                                json::object{{"200", std::move(file)},
                                             {"404", error_response("Not Found", "HTTPError")}}}}}};
}

}  // namespace

json::object openapi(const std::vector<description>& pipelines, std::string_view version) {
  json::object paths;
  json::object schemas;
  for (const description& d : pipelines) {
    paths["/" + d.name] = pipeline_path(d);
    schemas[schema_name(d)] = body_schema(d);
    add_answer_schemas(answer_name(d.result_form), schemas);
  }
  add_common_schemas(schemas);
  paths["/quote"] = quote_path(pipelines);
  paths["/health"] = get_path("Health", "health", "HealthCheck");
  paths["/version"] = get_path("Version", "version", "Version");
  paths["/media/{name}"] = media_path();
  json::object bearer{{"type", "http"}, {"scheme", "bearer"}};
  json::object out;
  out["openapi"] = "3.1.0";
  out["info"] = json::object{{"title", "lp-runtime"},
                             {"description", "Runs generative pipelines on a network of nodes."},
                             {"version", version}};
  out["servers"] = json::array{json::object{{"url", "/"}, {"description", "This gateway"}}};
  out["paths"] = std::move(paths);
  out["components"] =
      json::object{{"schemas", std::move(schemas)},
                   {"securitySchemes", json::object{{"HTTPBearer", std::move(bearer)}}}};
  return out;
}

}  // namespace lp::pipelines
