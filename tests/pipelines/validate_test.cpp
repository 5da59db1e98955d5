// SPDX-License-Identifier: MIT
#include <limits>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "pipelines/description.hpp"

namespace lp::pipelines {
namespace {

namespace json = boost::json;
using kind = parameter::kind;

description sample() {
  description d;
  d.name = "sample";
  d.parameters = {
      {"count", kind::integer, "", {}, false, 1, 100, {}},
      {"wide", kind::integer, "", {}, false, {}, {}, {}},
      {"scale", kind::number, "", 7.5, false, 0, 50, {}},
      {"flag", kind::boolean, "", true, false, {}, {}, {}},
      {"text", kind::string, "", {}, false, 2, 5, {}},
      {"mode", kind::string, "", "fast", false, {}, {}, {"fast", "slow", "exact"}},
      {"own", kind::string, "", {}, false, {}, {}, {"", "a", "b"}},
  };
  return d;
}

// The type of the one field error that `value` for `name` gives, or "ok".
std::string verdict(const char* name, const json::value& value) {
  const auto got = validate(sample(), json::object{{name, value}});
  if (got) return "ok";
  EXPECT_EQ(got.error().code, ec::invalid_parameters);
  EXPECT_EQ(got.error().fields.size(), 1u);
  const field_error& field = got.error().fields.front();
  EXPECT_EQ(field.loc, (std::vector<std::string>{"body", name}));
  EXPECT_FALSE(field.msg.empty());
  return field.type;
}

json::value accepted(const char* name, const json::value& value) {
  auto got = validate(sample(), json::object{{name, value}});
  if (!got) {
    ADD_FAILURE() << name << ": " << render(got.error());
    return nullptr;
  }
  return got->at(name);
}

TEST(validate, integers_come_in_many_forms) {
  for (const json::value& v : std::initializer_list<json::value>{7, 7u, 7.0, "7", " 7 ", "+7", "07",
                                                                 "7.0", "7.000", "0_7"}) {
    EXPECT_EQ(accepted("count", v), json::value(std::int64_t{7})) << v;
  }
  EXPECT_EQ(accepted("count", true), json::value(std::int64_t{1}));
  EXPECT_EQ(accepted("wide", "-9223372036854775808"),
            json::value(std::numeric_limits<std::int64_t>::min()));
}

TEST(validate, what_is_no_integer_has_its_kind_of_error) {
  const std::map<std::string, std::vector<json::value>> wrong = {
      {"int_from_float", {7.5, -0.1}},
      {"int_parsing",
       {"", " ", "x", "7.5", "7.", "1e3", "0x10", "--7", "+-7", "7 7", "_7", "7__0"}},
      {"int_type", {nullptr, json::array{7}, json::object{{"a", 7}}}},
      {"greater_than_equal", {0, -1, "0", false, -1e300, "-99999999999999999999"}},
      {"less_than_equal",
       {101, 1e300, std::numeric_limits<std::uint64_t>::max(), "99999999999999999999"}},
      {"finite_number",
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}},
  };
  for (const auto& [type, values] : wrong) {
    for (const json::value& v : values) {
      // A null stands for an absent optional parameter.
      EXPECT_EQ(verdict("count", v), v.is_null() ? "ok" : type) << v;
    }
  }
  EXPECT_EQ(verdict("wide", 1e19), "int_parsing_size");
  EXPECT_EQ(verdict("wide", "99999999999999999999"), "int_parsing_size");
}

TEST(validate, numbers_are_finite_and_in_range) {
  EXPECT_EQ(accepted("scale", 3), json::value(3.0));
  EXPECT_EQ(accepted("scale", "1.5"), json::value(1.5));
  EXPECT_EQ(accepted("scale", " +1.5e1 "), json::value(15.0));
  EXPECT_EQ(accepted("scale", false), json::value(0.0));
  for (const char* text : {"nan", "NaN", "inf", "-Infinity", "1e999"}) {
    EXPECT_EQ(verdict("scale", text), "finite_number") << text;
  }
  for (const char* text : {"", "x", "1,5", "1.5x", "0x1p3"}) {
    EXPECT_EQ(verdict("scale", text), "float_parsing") << text;
  }
  EXPECT_EQ(verdict("scale", json::array{}), "float_type");
  EXPECT_EQ(verdict("scale", -0.001), "greater_than_equal");
  EXPECT_EQ(verdict("scale", 50.001), "less_than_equal");
}

TEST(validate, booleans_have_their_words) {
  for (const json::value& v : std::initializer_list<json::value>{true, 1, 1.0, "1", "true", "True",
                                                                 "YES", "on", "t", "y"}) {
    EXPECT_EQ(accepted("flag", v), json::value(true)) << v;
  }
  for (const json::value& v : std::initializer_list<json::value>{false, 0, 0.0, "0", "false",
                                                                 "FALSE", "no", "Off", "f", "n"}) {
    EXPECT_EQ(accepted("flag", v), json::value(false)) << v;
  }
  for (const json::value& v :
       std::initializer_list<json::value>{2, -1, 2.0, "", "2", "truth", " true"}) {
    EXPECT_EQ(verdict("flag", v), "bool_parsing") << v;
  }
  for (const json::value& v :
       std::initializer_list<json::value>{0.5, json::array{true}, json::object{}}) {
    EXPECT_EQ(verdict("flag", v), "bool_type") << v;
  }
}

TEST(validate, strings_have_lengths_and_choices) {
  EXPECT_EQ(accepted("text", "abc"), json::value("abc"));
  EXPECT_EQ(verdict("text", "a"), "string_too_short");
  EXPECT_EQ(verdict("text", "abcdef"), "string_too_long");
  EXPECT_EQ(accepted("text", "äöü€😀"), json::value("äöü€😀")) << "lengths count characters";
  EXPECT_EQ(verdict("text", "äöü€😀."), "string_too_long");
  EXPECT_EQ(verdict("text", "é"), "string_too_short") << "two bytes are one character";
  EXPECT_EQ(verdict("text", "\xff\xfe"), "string_unicode");
  EXPECT_EQ(verdict("text", 12), "string_type");
  EXPECT_EQ(verdict("text", true), "string_type");
  EXPECT_EQ(accepted("mode", "slow"), json::value("slow"));
  EXPECT_EQ(verdict("mode", "Slow"), "enum");
  const auto got = validate(sample(), json::object{{"mode", "no"}});
  EXPECT_EQ(got.error().fields[0].msg, "Input should be 'fast', 'slow' or 'exact'");
  EXPECT_EQ(accepted("own", ""), json::value(""));
  EXPECT_EQ(validate(sample(), json::object{{"own", "no"}}).error().fields[0].msg,
            "Input should be 'a' or 'b'");
}

TEST(validate, absent_and_null_mean_the_default) {
  const auto absent = validate(sample(), json::object{});
  const auto null = validate(sample(), json::parse(R"({"scale":null,"flag":null,"count":null})"));
  const json::object expected{{"scale", 7.5}, {"flag", true}, {"mode", "fast"}};
  ASSERT_TRUE(absent);
  ASSERT_TRUE(null);
  EXPECT_EQ(*absent, expected);
  EXPECT_EQ(*null, expected);
}

TEST(validate, unknown_members_are_dropped) {
  const auto got = validate(sample(), json::object{{"extra", 1}, {"count", 2}});
  ASSERT_TRUE(got);
  EXPECT_FALSE(got->contains("extra"));
}

TEST(validate, a_body_that_is_no_object_is_one_error_at_the_body) {
  for (const json::value& v :
       std::initializer_list<json::value>{nullptr, 1, "x", json::array{1, 2}, true}) {
    const auto got = validate(sample(), v);
    ASSERT_FALSE(got);
    ASSERT_EQ(got.error().fields.size(), 1u);
    EXPECT_EQ(got.error().fields[0].loc, std::vector<std::string>{"body"});
    EXPECT_EQ(got.error().fields[0].type, "model_attributes_type");
  }
}

TEST(validate, required_parameters_cannot_be_left_out) {
  description d = sample();
  d.parameters[0].required = true;
  d.parameters.push_back({"image", kind::file, "", {}, true, {}, {}, {}});
  const auto got = validate(d, json::object{{"count", nullptr}});
  ASSERT_FALSE(got);
  ASSERT_EQ(got.error().fields.size(), 2u);
  EXPECT_EQ(got.error().fields[0].type, "int_type");
  EXPECT_EQ(got.error().fields[1].type, "missing");
  EXPECT_EQ(got.error().fields[1].msg, "Field required");
  EXPECT_FALSE(validate(d, json::object{{"count", 1}, {"image", "a text"}}));
  const given_file file{"image", "bytes"};
  const auto given = validate(d, json::object{{"count", 1}}, {&file, 1});
  ASSERT_TRUE(given);
  EXPECT_EQ(given->at("image"), (json::object{{"bytes", 5}}));
}

TEST(validate, all_wrong_fields_are_told_at_once_in_order) {
  const auto got = validate(
      sample(),
      json::object{{"mode", 1}, {"flag", "?"}, {"count", 0}, {"scale", "x"}, {"text", "abc"}});
  ASSERT_FALSE(got);
  std::vector<std::string> names;
  for (const field_error& f : got.error().fields) names.push_back(f.loc.back());
  EXPECT_THAT(names, testing::ElementsAre("count", "scale", "flag", "mode"));
  EXPECT_EQ(got.error().message, "4 wrong parameters");
}

TEST(validate, the_pipelines_own_check_comes_last) {
  description d = sample();
  d.check = [](const json::object& params) -> result<void> {
    if (params.at("flag").as_bool()) return fail(ec::bad_request, "flag and scale");
    return {};
  };
  EXPECT_EQ(validate(d, json::object{}).error().code, ec::bad_request);
  EXPECT_EQ(validate(d, json::object{{"count", 0}}).error().code, ec::invalid_parameters);
  EXPECT_TRUE(validate(d, json::object{{"flag", false}}));
}

}  // namespace
}  // namespace lp::pipelines
