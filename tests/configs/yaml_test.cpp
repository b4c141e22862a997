// Parsing and printing YAML, and limits for untrusted input.
#include "schema/yaml.h"

#include <gmock/gmock.h>

#include <codecvt>
#include <locale>

#include "base/require.h"
#include "base/utf8.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

YamlNode parse(std::string_view text) {
  return parse_yaml(text, [](int line) { return fmt::format("line {}", line); });
}

void expect_error(std::string_view text, const std::string& message) {
  EXPECT_THAT([&] { parse(text); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message))) << text.substr(0, 80);
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  while (times-- > 0) all += text;
  return all;
}

TEST(Yaml, ErrorsNameTheLine) {
  expect_error("a: [1,\n2", "line 2: not YAML: end of sequence flow not found");
  expect_error("a: 1\nb: \"open\nc: 3\n", "line 3: not YAML: unclosed quote");
  expect_error("a: \"\\时\"", "line 1: not YAML: unknown escape character: \\xe6");
  expect_error("a:\n\tb: 1", "line 2: not YAML: ");
  expect_error("a: 1\n  b: 2", "line 2: not YAML: ");
  expect_error("a: *nobody", "line 1: not YAML: the referenced anchor is not defined");
  expect_error("a: 1\nb: !!int 2", "line 2: tag tag:yaml.org,2002:int, expected none");
  expect_error("a: 1\n---\nb: 2", "line 2: found a second document, expected one");
  expect_error("a: &x\n  b: *x", "line 2: an alias inside the value that it refers to");
  expect_error("a: 1\nb: \x04", "line 2: control character 0x04");
  expect_error(std::string_view("a: 1\0", 5), "line 1: control character 0x00");
}

TEST(Yaml, BrokenUtf8IsFoundWithItsLine) {
  EXPECT_EQ(parse("时尚: 羽绒服").find("时尚")->scalar, "羽绒服");
  expect_error("a: 时尚\nb: \xe6\x97", "line 2: not UTF-8: byte 0xe6");  // truncated character
  expect_error("a: \xb0\xa1", "line 1: not UTF-8: byte 0xb0");           // GBK
  expect_error("a: \xc0\xaf", "line 1: not UTF-8: byte 0xc0");           // overlong
  expect_error("a: \xed\xa0\x80", "line 1: not UTF-8: byte 0xed");       // a surrogate
  expect_error("a: \xf4\x90\x80\x80", "line 1: not UTF-8: byte 0xf4");   // above U+10FFFF
  expect_error(
      "\xff\xfe"
      "a",
      "line 1: not UTF-8: byte 0xff");  // UTF-16
}

TEST(Utf8, IsValidUpToTheFirstBrokenCharacterWhereverItIs) {
  for (size_t before = 0; before < 20; before++) {
    const std::string text = std::string(before, 'x') + "时";
    EXPECT_EQ(valid_utf8(text), before + 3);
    EXPECT_EQ(valid_utf8(text + "\xe6\x97"), before + 3);
    EXPECT_EQ(valid_utf8(text.substr(0, before + 2) + "longer than a word"), before);
  }
}

// All code points up to U+2FFF, then every 4087th: covers every encoded length and both ends of the surrogates.
TEST(Yaml, EveryCharacterSurvivesQuoting) {
  std::u32string every;
  for (char32_t code = 0; code <= 0x10FFFF; code += code < 0x3000 ? 1 : 0xFF7) {
    if (code < 0xD800 || code > 0xDFFF) every += code;
  }
  every += U"\uFEFF\uFFFD\xFFFE\xFFFF\xD7FF\xE000\x10FFFF";
  const std::string text = std::wstring_convert<std::codecvt_utf8<char32_t>, char32_t>().to_bytes(every);
  EXPECT_EQ(valid_utf8(text), text.size());
  EXPECT_EQ(parse(quote(text)).scalar, text);
}

TEST(Yaml, TextsThatLookLikeAnythingElseAreQuoted) {
  const auto printed = [](const std::string& text) {
    return to_flow({.kind = YamlNode::Kind::scalar, .scalar = text, .quoted = true});
  };
  for (const std::string plain : {"a", "runs/ml-100k", "/tmp/a.csv", "_x", "yesterday"})
    EXPECT_EQ(printed(plain), plain);
  for (const std::string text :
       {"",   "64", "-1",         "1e3", ".5",   "~",  "null", "NULL", "Yes", "on", "n",  "a b", "a: b", "#a",  "&a",
        "*a", "!a", "2024-01-01", "[",   "时尚", "@a", "- a",  "?",    "a,b", " a", "<<", "=",   ".inf", "0x10"}) {
    EXPECT_EQ(printed(text), quote(text));
    const YamlNode again = parse(printed(text));
    EXPECT_TRUE(again.quoted && again.scalar == text) << text;
  }
}

TEST(Yaml, NestedListsAndSectionsSurvivePrinting) {
  const std::string flow = "{a: [], b: {}, c: [[{d: 1}, 2], [3]], e: [{f: {g: [1, 2]}, h: null}, []]}";
  const std::string block = to_yaml(parse(flow));
  EXPECT_EQ(block, R"(a: []
b: {}
c:
  - - d: 1
    - 2
  - [3]
e:
  - f:
      g: [1, 2]
    h: null
  - []
)");
  EXPECT_EQ(to_flow(parse(block)), flow);
}

// Without limits each of these would take minutes or gigabytes.
TEST(Yaml, HostileTextsAreRefusedCheaply) {
  std::string laughs = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n";
  for (int i = 1; i < 30; i++)
    laughs += fmt::format("a{}: &a{} [{}*a{}]\n", i, i, repeated(fmt::format("*a{}, ", i - 1), 9), i - 1);
  expect_error(laughs, "line 4: more than 1048576 bytes with all aliases expanded");
  expect_error("a: &a " + std::string(100000, 'x') + "\nb: [" + repeated("*a, ", 1000) + "]",
               "more than 1048576 bytes");
  expect_error(repeated("&a [", 60) + repeated("x, ", 20000) + repeated("]", 60), "more than 1048576 bytes");
  expect_error(repeated("[", 500000), "line 1: more than 64 levels");
  expect_error(repeated("{a: ", 200000), "line 1: more than 64 levels");
  expect_error(repeated("- ", 500000), "line 1: more than 64 levels");
  expect_error(repeated("? ", 500000), "line 1: more than 64 levels");
  expect_error(repeated("x: 1\n", 200000), "more than 1048576 bytes");
  expect_error(repeated("? a\n: b\n", 20000), "line 3: a: duplicate key, first at line 1");
}

}  // namespace
}  // namespace sartor
