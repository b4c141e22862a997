#include "models/hf/json.h"

#include <gmock/gmock.h>

#include "support/folder_test.h"

namespace sartor::hf {
namespace {

using sartor::testing::FolderTest;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

auto refused(std::string_view text, const std::string& why, JsonLimits limits = {}) {
  EXPECT_THAT([&] { parse_json(text, "文件.json", limits); },
              ThrowsMessage<std::invalid_argument>(::testing::AllOf(::testing::StartsWith("文件.json: "),
                                                                    HasSubstr(why), ::testing::Not(HasSubstr("\n")))))
      << text;
}

TEST(Json, ReadsEveryKindOfValue) {
  const auto json = parse_json(
      R"({"a": [1, -2, 3.5, true, null, "中文 \u597d \ud83d\ude00"], "b": {}, "c": 18446744073709551615})", "x");
  EXPECT_EQ(json["a"].size(), 6);
  EXPECT_EQ(json["a"][5], "中文 好 😀");
  EXPECT_EQ(json["b"].size(), 0);
  EXPECT_EQ(json["c"].get<uint64_t>(), UINT64_MAX);
  EXPECT_EQ(parse_json("7", "x"), 7);
}

TEST(Json, RefusesWhatIsNone) {
  for (const std::string_view text : {"", "{", "[1,]", "{\"a\" 1}", "{\"a\": 1} 2", "'a'", "nul", "\"\xff\"",
                                      "\"\xed\xa0\x80\"", "[1e999]", "\"\n\"", "\"\\ud800\""}) {
    refused(text, "invalid JSON at byte");
  }
  refused(R"({"a": 1, "a": 2})", "duplicate key \"a\"");
  refused(R"({"x": {"a": 1, "b": 1, "a": 2}})", "duplicate key \"a\"");
  EXPECT_EQ(parse_json(R"([{"a": 1}, {"a": 2}])", "x").size(), 2);
}

TEST(Json, StopsAtItsLimits) {
  refused("[[[[1]]]]", "deeper than 3 levels", {.depth = 3});
  EXPECT_NO_THROW(parse_json("[[[1]]]", "x", {.depth = 3}));
  refused(std::string(100'000, '['), "deeper than 32 levels");
  refused("[1,2,3]", "more than 3 values", {.values = 3});
  refused("[1,2,3]", "7 bytes of JSON, expected at most 6", {.bytes = 6});
}

using JsonFile = FolderTest;

TEST_F(JsonFile, IsReadWhole) {
  EXPECT_EQ(read_json(write("a.json", "{\"b\": [1]}")), Json::parse("{\"b\": [1]}"));
  EXPECT_THAT([&] { read_json(path("absent.json")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("absent.json: cannot be opened")));
  EXPECT_THAT([&] { read_json(folder_); }, ThrowsMessage<std::invalid_argument>(HasSubstr(folder_.string())));
}

}  // namespace
}  // namespace sartor::hf
