// SPDX-License-Identifier: MIT
#include "pipelines/openapi.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "pipelines/picture_parameters.hpp"

namespace lp::pipelines {
namespace {

namespace json = boost::json;

json::object document() {
  return openapi(all(), "1.2.3");
}

// Plain YAML scalars by the core schema's rules, as far as the reference's document uses them.
json::value to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    json::object out;
    for (const auto& member : node) out[member.first.Scalar()] = to_json(member.second);
    return out;
  }
  if (node.IsSequence()) {
    json::array out;
    for (const auto& item : node) out.push_back(to_json(item));
    return out;
  }
  const bool quoted = node.Tag() == "!";
  if (!node.IsScalar()) return nullptr;
  boost::system::error_code error;
  json::value plain = quoted ? json::value() : json::parse(node.Scalar(), error);
  if (quoted || error || plain.is_structured()) return json::value(node.Scalar());
  return plain;
}

// Every fact of `reference` that `ours` lacks or says otherwise. Descriptions are prose; an enum or
// a list of required members must be equal.
void missing_facts(const json::value& reference, const json::value& ours, const std::string& path,
                   std::vector<std::string>& out) {
  const auto* members = reference.if_object();
  if (members == nullptr) {
    if (reference != ours) out.push_back(path + ": " + json::serialize(ours));
    return;
  }
  for (const auto& [key, value] : *members) {
    if (key == "description" && value.is_string()) continue;
    const std::string below = path + "/" + std::string(std::string_view(key));
    const json::value* own = ours.is_object() ? ours.get_object().if_contains(key) : nullptr;
    if (own == nullptr) {
      out.push_back(below + ": absent");
    } else {
      missing_facts(value, *own, below, out);
    }
  }
}

void collect_references(const json::value& part, std::set<std::string>& out) {
  if (const auto* list = part.if_array()) {
    for (const json::value& item : *list) collect_references(item, out);
  } else if (const auto* members = part.if_object()) {
    for (const auto& [key, value] : *members) {
      if (key == "$ref") out.emplace(std::string_view(value.as_string()));
      collect_references(value, out);
    }
  }
}

TEST(openapi, says_what_the_reference_says) {
  const auto file = std::filesystem::path(LP_SOURCE_DIR) / "../shared/reference/openapi.yaml";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "../shared absent";
  const json::value reference = to_json(YAML::LoadFile(file.string()));
  const json::value ours = document();
  for (const char* pointer :
       {"/openapi", "/paths/~1text-to-image", "/paths/~1image-to-image", "/paths/~1upscale",
        "/paths/~1health", "/paths/~1version", "/components/securitySchemes",
        "/components/schemas/TextToImageParams", "/components/schemas/Body_genImageToImage",
        "/components/schemas/Body_genUpscale", "/components/schemas/ImageResponse",
        "/components/schemas/Media", "/components/schemas/HTTPError",
        "/components/schemas/APIError", "/components/schemas/HTTPValidationError",
        "/components/schemas/ValidationError", "/components/schemas/HealthCheck",
        "/components/schemas/Version"}) {
    std::vector<std::string> missing;
    missing_facts(reference.at_pointer(pointer), ours.at_pointer(pointer), pointer, missing);
    EXPECT_TRUE(missing.empty()) << testing::PrintToString(missing);
  }
  for (const std::string schema :
       {"TextToImageParams", "Body_genImageToImage", "Body_genUpscale"}) {
    const auto names = [&](const json::value& from) {
      std::vector<std::string> out;
      const std::string properties = "/components/schemas/" + schema + "/properties";
      for (const auto& member : from.at_pointer(properties).as_object()) {
        out.emplace_back(std::string_view(member.key()));
      }
      return out;
    };
    std::vector<std::string> wanted = names(reference);
    if (schema == "Body_genImageToImage") wanted.emplace_back("mask_image");
    if (schema != "Body_genUpscale")
      for (const parameter& p : sampling_parameters()) wanted.push_back(p.name);
    EXPECT_EQ(names(ours), wanted) << "no parameter more or less, in the same order";
  }
}

TEST(openapi, every_reference_leads_somewhere) {
  const json::value doc = document();
  std::set<std::string> references;
  collect_references(doc, references);
  EXPECT_FALSE(references.empty());
  for (const std::string& reference : references) {
    boost::system::error_code error;
    ASSERT_TRUE(reference.starts_with("#/")) << reference;
    EXPECT_NE(doc.find_pointer(reference.substr(1), error), nullptr) << reference;
  }
}

TEST(openapi, has_a_route_and_an_operation_for_every_pipeline) {
  const json::object doc = document();
  EXPECT_EQ(doc.at("info").at("version"), "1.2.3");
  const json::object& paths = doc.at("paths").as_object();
  std::set<std::string> operations;
  for (const auto& [path, methods] : paths) {
    for (const auto& [method, operation] : methods.as_object()) {
      const std::string id(operation.at("operationId").as_string());
      EXPECT_TRUE(operations.insert(id).second) << id << " twice";
    }
  }
  for (const description& d : all()) EXPECT_TRUE(paths.contains("/" + d.name));
  EXPECT_TRUE(paths.contains("/media/{name}"));
  EXPECT_TRUE(paths.contains("/quote"));
}

TEST(openapi, tells_the_samplers) {
  const json::value doc = document();
  const json::value& scheduler =
      doc.at_pointer("/components/schemas/TextToImageParams/properties/scheduler");
  const json::array& choices = scheduler.at("enum").as_array();
  EXPECT_NE(std::find(choices.begin(), choices.end(), "euler_a"), choices.end());
  EXPECT_EQ(scheduler.at("default"), "");
}

TEST(openapi, tells_the_ranges) {
  const json::value doc = document();
  const json::value& width =
      doc.at_pointer("/components/schemas/TextToImageParams/properties/width");
  EXPECT_EQ(width.at("minimum"), json::value(64));
  EXPECT_EQ(width.at("maximum"), json::value(2048));
  EXPECT_EQ(width.at("default"), json::value(1024));
}

TEST(openapi, forms_and_other_answers_have_their_schemas) {
  description d;
  d.name = "image-to-text";
  d.title = "Image To Text";
  d.operation_id = "genImageToText";
  d.body = encoding::multipart;
  d.parameters = {{"image", parameter::kind::file, "A picture.", {}, true, {}, {}, {}}};
  const answer forms[] = {answer::images, answer::video, answer::text,
                          answer::audio,  answer::masks, answer::json};
  for (const answer form : forms) {
    d.result_form = form;
    const json::value doc = openapi({d}, "0");
    std::set<std::string> references;
    collect_references(doc, references);
    for (const std::string& reference : references) {
      boost::system::error_code error;
      EXPECT_NE(doc.find_pointer(reference.substr(1), error), nullptr) << reference;
    }
    const json::value& image =
        doc.at_pointer("/components/schemas/Body_genImageToText/properties/image");
    EXPECT_EQ(image.at("format"), "binary");
    EXPECT_TRUE(doc.at_pointer("/paths/~1image-to-text/post/requestBody/content")
                    .as_object()
                    .contains("multipart/form-data"));
  }
}

}  // namespace
}  // namespace lp::pipelines
