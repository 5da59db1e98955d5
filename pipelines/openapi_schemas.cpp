// SPDX-License-Identifier: MIT
#include "pipelines/openapi_schemas.hpp"

#include <string>

#include <boost/json/parse.hpp>

namespace lp::pipelines {

namespace json = boost::json;

namespace {

constexpr std::string_view common = R"json({
  "APIError": {
    "type": "object", "title": "APIError", "required": ["msg"],
    "properties": {"msg": {"type": "string", "title": "Msg", "description": "What went wrong."}}},
  "HTTPError": {
    "type": "object", "title": "HTTPError", "required": ["detail"],
    "properties": {"detail": {"$ref": "#/components/schemas/APIError"}}},
  "ValidationError": {
    "type": "object", "title": "ValidationError", "required": ["loc", "msg", "type"],
    "properties": {
      "loc": {"type": "array", "title": "Location",
              "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
      "msg": {"type": "string", "title": "Message"},
      "type": {"type": "string", "title": "Error Type"}}},
  "HTTPValidationError": {
    "type": "object", "title": "HTTPValidationError",
    "properties": {"detail": {"type": "array", "title": "Detail",
                              "items": {"$ref": "#/components/schemas/ValidationError"}}}},
  "HealthCheck": {
    "type": "object", "title": "HealthCheck", "required": ["status"],
    "properties": {"status": {"type": "string", "title": "Status",
                              "enum": ["LOADING", "OK", "ERROR", "IDLE"],
                              "description": "Whether jobs can be taken."}}},
  "Version": {
    "type": "object", "title": "Version", "required": ["pipeline", "model_id", "version"],
    "properties": {
      "pipeline": {"type": "string", "title": "Pipeline"},
      "model_id": {"type": "string", "title": "Model Id"},
      "version": {"type": "string", "title": "Version", "description": "The program's version."}}},
  "Job": {
    "type": "object", "title": "Job", "description": "How an answer came about.",
    "properties": {
      "id": {"type": "string", "title": "Id"},
      "model": {"type": "string", "title": "Model", "description": "The model that ran."},
      "route": {"type": "array", "title": "Route", "items": {"type": "string"},
                "description": "The nodes in the order the job passed them."},
      "stages": {"type": "array", "title": "Stages", "items": {"type": "object", "properties": {
                   "name": {"type": "string"},
                   "ms": {"type": "number", "description": "Wall-clock milliseconds."}}}},
      "units": {"type": "number", "title": "Units", "description": "Billing units done."},
      "notes": {"type": "array", "title": "Notes", "items": {"type": "string"},
                "description": "What one should know of the result."}}},
  "QuoteParams": {
    "type": "object", "title": "QuoteParams", "required": ["pipeline"],
    "properties": {
      "pipeline": {"type": "string", "title": "Pipeline", "description": "A route's name."},
      "request": {"type": "object", "title": "Request",
                  "description": "What would be sent there; pictures as {\"width\": 512, \"height\": 512}."}}},
  "Quote": {
    "type": "object", "title": "Quote", "required": ["orchestrator", "model", "warm"],
    "description": "Amounts are whole wei, as text, rounded in the seller's favour.",
    "properties": {
      "orchestrator": {"type": "string", "title": "Orchestrator"},
      "address": {"type": "string", "title": "Address", "description": "Of the Ethereum account."},
      "model": {"type": "string", "title": "Model"},
      "warm": {"type": "boolean", "title": "Warm", "description": "Whether it is loaded."},
      "price_per_unit": {"type": "string", "title": "Price Per Unit", "description": "A fraction."},
      "units": {"type": "integer", "title": "Units"},
      "price": {"type": "string", "title": "Price", "description": "For the whole job."},
      "credit": {"type": "string", "title": "Credit", "description": "Paid there before and left."},
      "tickets": {"type": "integer", "title": "Tickets", "description": "That the job would take."},
      "ticket_value": {"type": "string", "title": "Ticket Value", "description": "Of one, expected."},
      "expected_value": {"type": "string", "title": "Expected Value", "description": "Of all."},
      "expires_ms": {"type": "integer", "title": "Expires Ms",
                     "description": "Until when the price holds, milliseconds since 1970."},
      "error": {"type": "string", "title": "Error", "description": "Why there is no price."}}},
  "QuoteResponse": {
    "type": "object", "title": "QuoteResponse", "required": ["pipeline", "unit", "currency", "quotes"],
    "properties": {
      "pipeline": {"type": "string", "title": "Pipeline"},
      "unit": {"type": "string", "title": "Unit", "description": "What is charged for."},
      "currency": {"type": "string", "title": "Currency"},
      "quotes": {"type": "array", "title": "Quotes",
                 "items": {"$ref": "#/components/schemas/Quote"}}}}
})json";

constexpr std::string_view answers = R"json({
  "ImageResponse": {
    "type": "object", "title": "ImageResponse", "required": ["images"],
    "properties": {
      "images": {"type": "array", "title": "Images", "description": "The pictures or films.",
                 "items": {"$ref": "#/components/schemas/Media"}},
      "job": {"$ref": "#/components/schemas/Job"}}},
  "Media": {
    "type": "object", "title": "Media", "required": ["url", "seed", "nsfw"],
    "properties": {
      "url": {"type": "string", "title": "Url", "description": "Where the file is."},
      "seed": {"type": "integer", "title": "Seed", "description": "The seed it was drawn from."},
      "nsfw": {"type": "boolean", "title": "Nsfw",
               "description": "Whether it was found offensive."}}},
  "TextResponse": {
    "type": "object", "title": "TextResponse", "required": ["text", "chunks"],
    "properties": {
      "text": {"type": "string", "title": "Text", "description": "The whole text."},
      "chunks": {"type": "array", "title": "Chunks", "description": "Its parts with their times.",
                 "items": {"$ref": "#/components/schemas/Chunk"}},
      "job": {"$ref": "#/components/schemas/Job"}}},
  "Chunk": {
    "type": "object", "title": "Chunk", "required": ["timestamp", "text"],
    "properties": {
      "timestamp": {"type": "array", "title": "Timestamp", "items": {},
                    "description": "Start and end in seconds."},
      "text": {"type": "string", "title": "Text"}}},
  "AudioResponse": {
    "type": "object", "title": "AudioResponse", "required": ["audio"],
    "properties": {
      "audio": {"$ref": "#/components/schemas/MediaURL"},
      "job": {"$ref": "#/components/schemas/Job"}}},
  "MediaURL": {
    "type": "object", "title": "MediaURL", "required": ["url"],
    "properties": {"url": {"type": "string", "title": "Url",
                           "description": "Where the file is."}}},
  "MasksResponse": {
    "type": "object", "title": "MasksResponse", "required": ["masks", "scores", "logits"],
    "properties": {
      "masks": {"type": "string", "title": "Masks", "description": "The masks, as JSON text."},
      "scores": {"type": "string", "title": "Scores",
                 "description": "How sure each mask is, as JSON text."},
      "logits": {"type": "string", "title": "Logits",
                 "description": "The masks before thresholding, as JSON text."},
      "job": {"$ref": "#/components/schemas/Job"}}},
  "JSONResponse": {
    "type": "object", "title": "JSONResponse",
    "properties": {"job": {"$ref": "#/components/schemas/Job"}}}
})json";

void add(const json::object& from, std::string_view name, json::object& to);

void add_references(const json::object& from, const json::value& part, json::object& to) {
  constexpr std::string_view prefix = "#/components/schemas/";
  if (const auto* list = part.if_array()) {
    for (const json::value& item : *list) add_references(from, item, to);
  } else if (const auto* members = part.if_object()) {
    for (const auto& [key, value] : *members) {
      if (key == "$ref" && value.is_string()) {
        add(from, std::string_view(value.get_string()).substr(prefix.size()), to);
      } else {
        add_references(from, value, to);
      }
    }
  }
}

// The schema of that name and, through its references, all it needs.
void add(const json::object& from, std::string_view name, json::object& to) {
  const json::value* schema = from.if_contains(name);
  if (schema == nullptr || to.contains(name)) return;
  to[name] = *schema;
  add_references(from, *schema, to);
}

}  // namespace

void add_answer_schemas(std::string_view answer, json::object& schemas) {
  add(json::parse(answers).as_object(), answer, schemas);
}

void add_common_schemas(json::object& schemas) {
  const json::value parsed = json::parse(common);
  for (const auto& [name, schema] : parsed.as_object()) schemas[name] = schema;
}

}  // namespace lp::pipelines
