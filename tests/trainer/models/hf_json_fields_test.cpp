#include "models/hf/json_fields.h"

#include <gmock/gmock.h>

#include <array>
#include <functional>

namespace sartor::hf {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

constexpr auto choices = std::to_array<std::pair<std::string_view, int>>({{"linear", 1}, {"yarn", 2}, {"llama3", 3}});

TEST(JsonFields, TakesEachByItsKind) {
  const auto json = parse_json(
      R"({"count": 7, "rate": 0.5, "whole": 2, "on": true, "name": "好", "names": ["a", "乙"], "kind": "yarn", "none": null,
          "left": [1], "另": 1})",
      "文件.json");
  JsonFields fields(json, "文件.json");
  EXPECT_EQ(fields.integer("count", 0, 7), 7);
  EXPECT_EQ(fields.number("rate", 0, 1), 0.5);
  EXPECT_EQ(fields.number("whole", 0, 2), 2);
  EXPECT_EQ(fields.boolean("on"), true);
  EXPECT_EQ(fields.required_text("name"), "好");
  EXPECT_THAT(fields.texts("names"), ElementsAre("a", "乙"));
  EXPECT_EQ(fields.choice<int>("kind", choices), 2);
  for (const char* absent : {"none", "absent", ""}) {
    EXPECT_EQ(fields.integer(absent, 0, 1), std::nullopt);
    EXPECT_EQ(fields.number(absent, 0, 1), std::nullopt);
    EXPECT_EQ(fields.boolean(absent), std::nullopt);
    EXPECT_EQ(fields.text(absent), std::nullopt);
    EXPECT_THAT(fields.texts(absent), IsEmpty());
    EXPECT_EQ(fields.choice<int>(absent, choices), std::nullopt);
  }
  EXPECT_TRUE(fields.has("none"));
  EXPECT_FALSE(fields.has("absent"));
  EXPECT_THAT(fields.untaken(), ElementsAre("left", "另"));
}

TEST(JsonFields, HoldsFieldsToOneValue) {
  const auto json = parse_json(R"({"decoder": false, "bits": 4, "window": null})", "x");
  JsonFields fields(json, "x");
  fields.fixed("decoder", false, "");
  fields.fixed("window", 4096, "");
  fields.fixed("absent", 1, "");
  EXPECT_THAT([&] { fields.fixed("bits", nullptr, "quantized weights are not supported"); },
              ThrowsMessage<std::invalid_argument>("x: bits is 4, expected null: quantized weights are not supported"));
  EXPECT_THAT(fields.untaken(), IsEmpty());
  const auto again = parse_json(R"({"bits": 4})", "x");
  JsonFields taken(again, "x");
  taken.take("bits");
  EXPECT_NO_THROW(taken.fixed("bits", nullptr, "another family takes it"));
}

TEST(JsonFields, NamesFieldFoundAndExpected) {
  const auto json =
      parse_json(R"({"text": "a", "list": [1], "big": 18446744073709551615, "low": -1, "half": 0.5})", "x");
  JsonFields fields(json, "x");
  const auto refused = [&](const std::function<void()>& take, const char* said) {
    EXPECT_THAT(take, ThrowsMessage<std::invalid_argument>(said));
  };
  refused([&] { fields.integer("text", 0, 9); }, "x: text: found a string, expected an integer");
  refused([&] { fields.integer("half", 0, 9); }, "x: half: found a number, expected an integer");
  refused([&] { fields.integer("low", 0, 9); }, "x: low is -1, expected 0 to 9");
  refused([&] { fields.integer("big", 0, 9); }, "x: big is 18446744073709551615, expected 0 to 9");
  refused([&] { fields.number("text", 0, 1); }, "x: text: found a string, expected a number");
  refused([&] { fields.number("half", 1, 2); }, "x: half is 0.5, expected 1 to 2");
  refused([&] { fields.boolean("low"); }, "x: low: found an integer, expected true or false");
  refused([&] { fields.text("list"); }, "x: list: found an array, expected a string");
  refused([&] { fields.texts("list"); }, "x: list: found an integer, expected a string");
  refused([&] { fields.texts("text"); }, "x: text: found a string, expected an array of strings");
  refused([&] { fields.required_text("absent"); }, "x: has no absent");
  refused([&] { fields.choice<int>("text", choices); }, "x: text is a, expected linear, yarn or llama3");
  const auto many = std::to_array<std::pair<std::string_view, int>>({{"1", 1}, {"2", 2}, {"3", 3}, {"4", 4}, {"5", 5}});
  refused([&] { fields.choice<int>("text", many); }, "x: text is a, expected one of 1, 2, 3, 4, 5");
  refused([&] { JsonFields(json["list"], "x"); }, "x: found an array, expected an object");
}

}  // namespace
}  // namespace sartor::hf
