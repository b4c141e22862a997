// The JSON scanner against nlohmann's parser.
#include "tables/json_scanner.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/utf8.h"

namespace sartor::datasets {
namespace {

using Members = std::vector<std::vector<std::string>>;

Members scanned(std::string_view line) {
  static const char* kinds[] = {"null", "boolean", "number", "string", "object", "array"};
  Members members;
  const bool whole = scan_json_object(line, [&](std::string_view name, JsonKind kind, std::string_view text) {
    members.push_back({std::string(name), kinds[static_cast<int>(kind)], std::string(text)});
  });
  return whole ? members : Members{{"broken"}};
}

TEST(JsonScanner, GivesMembersAsTheyAreWritten) {
  EXPECT_EQ(scanned(R"( { "用户" : 12345678901234567891, "b":"a\"\\\/\b\f\n\r\t\u4e2d\ud83d\ude00é" ,"c":null,
                          "d": true, "e" :false, "\u0061": -0.5e-10, "g": {"h": [1, {}]}, "i": [], "": "" } )"),
            (Members{{"用户", "number", "12345678901234567891"},
                     {"b", "string", "a\"\\/\b\f\n\r\t中😀é"},
                     {"c", "null", ""},
                     {"d", "boolean", "true"},
                     {"e", "boolean", "false"},
                     {"a", "number", "-0.5e-10"},
                     {"g", "object", ""},
                     {"i", "array", ""},
                     {"", "string", ""}}));
  EXPECT_EQ(scanned("{}"), Members());
}

TEST(JsonScanner, DeepNestingIsRefused) {
  const auto nested = [](int depth) { return R"({"a": )" + std::string(depth, '[') + std::string(depth, ']') + "}"; };
  EXPECT_EQ(scanned(nested(199)), (Members{{"a", "array", ""}}));
  EXPECT_EQ(scanned(nested(200)), (Members{{"broken"}}));
  EXPECT_EQ(scanned(R"({"a": )" + std::string(10'000'000, '[')), (Members{{"broken"}}));
}

// Both parsers agree on which texts are objects: each sample, and each with one byte deleted, doubled or replaced.
TEST(JsonScanner, TakesWhatAnotherParserTakes) {
  const std::vector<std::string> texts = {R"({"a": 1, "b": [1, 2.5, -3e+7, 0], "c": {"d": "x"}})",
                                          R"({"a": "\u4e2d\ud83d\ude00\n\\", "b": true, "c": null, "d": false})",
                                          R"([{"a": 1}])",
                                          R"({"a": "中", "b": -0.0E-1})",
                                          "nonsense",
                                          "\t{ }\r\n"};
  int taken = 0, refused = 0;
  const auto compare = [&](const std::string& text) {
    if (valid_utf8(text) != text.size() || text.find('\0') != text.npos) return;
    const bool expected = nlohmann::json::accept(text) && nlohmann::json::parse(text).is_object();
    EXPECT_EQ(scanned(text) != Members{{"broken"}}, expected) << text;
    ++(expected ? taken : refused);
  };
  for (const std::string& text : texts) {
    compare(text);
    for (size_t at = 0; at < text.size(); at++) {
      std::string changed = text;
      compare(changed.erase(at, 1));
      compare(text.substr(0, at));
      for (const char c : std::string("\"\\{}[],:0-.eEu x\x01")) {
        changed = text;
        changed[at] = c;
        compare(changed);
        changed = text;
        compare(changed.insert(at, 1, c));
      }
    }
  }
  EXPECT_GT(taken, 200);
  EXPECT_GT(refused, 3000);
}

}  // namespace
}  // namespace sartor::datasets
