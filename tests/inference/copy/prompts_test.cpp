#include "copy/prompts.h"

#include <gmock/gmock.h>

#include "encodings/unicode.h"
#include "support/folder_test.h"

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

// The prompt of these values, or the reason and text of its refusal.
std::string filled(const PromptTemplate& pattern, const std::vector<std::string>& values,
                   const std::vector<std::vector<std::string>>& lists = {}) {
  std::string prompt;
  EXPECT_EQ(pattern.columns().size(), values.size());
  const auto refusal = pattern.fill([&](size_t i) { return std::string_view(values[i]); },
                                    [&](size_t i) -> const std::vector<std::string>& { return lists[i]; }, prompt);
  return refusal ? refusal->reason + ": " + refusal->text : prompt;
}

std::string filled(std::string_view pattern, const std::vector<SlotConfig>& slots,
                   const std::vector<std::string>& values) {
  return filled(PromptTemplate(pattern, slots, {}), values);
}

// The prompts of two articles on marketing with language models.
TEST(Prompts, OfAnEnglishAdvertisement) {
  const PromptTemplate pattern(
      "Generate ad copy for a {age}-year-old {gender} who is interested in {interests}, to {goal}.",
      {{.column = "age", .type = SlotType::number},
       {.column = "interests", .type = SlotType::list, .join = ", ", .last_join = " and "}},
      {});
  EXPECT_EQ(filled(pattern, {"25", "female", "fashion|travel", "Promote new summer collection"}),
            "Generate ad copy for a 25-year-old female who is interested in fashion and travel, to Promote new summer "
            "collection.");
  EXPECT_EQ(filled(pattern, {"25.0", "female", "fashion|travel|music", "sell"}),
            "Generate ad copy for a 25-year-old female who is interested in fashion, travel and music, to sell.");
  EXPECT_EQ(filled(pattern, {"25", "female", "", "sell"}), "interests is missing: ");
}

TEST(Prompts, OfAChineseRecommendation) {
  const auto prompt =
      filled("{user_profile}，您可能会喜欢这款{product}。它的设计时尚简约，保暖性能优异，是冬季必备单品。", {},
             {"用户偏好：时尚", "新款羽绒服"});
  EXPECT_EQ(prompt, "用户偏好：时尚，您可能会喜欢这款新款羽绒服。它的设计时尚简约，保暖性能优异，是冬季必备单品。");
  EXPECT_EQ(text::unicode::count_characters(prompt), 46);
}

TEST(Prompts, ValuesAreNotTemplates) {
  EXPECT_EQ(filled("{a} {{{b}}}", {}, {"{b}", "}} {{"}), "{b} {}} {{}");
  EXPECT_EQ(filled("{a}", {}, {" 好\n\"好\" "}), " 好\n\"好\" ");
}

TEST(Prompts, MissingValues) {
  for (const std::string blank : {"", " ", "\t\n", "　", "\u200b"}) {
    EXPECT_EQ(filled("{a} {b}", {}, {"x", blank}), "b is missing: " + blank);
    EXPECT_EQ(filled("{a} {b}", {{.column = "b", .missing = "好物"}}, {"x", blank}), "x 好物");
    EXPECT_EQ(filled("{a} {b}", {{.column = "b", .missing = ""}}, {"x", blank}), "x ");
    EXPECT_EQ(filled("{a}", {{.column = "a", .missing = ""}}, {blank}), "prompt is blank: ");
    EXPECT_EQ(filled("{a}", {{.column = "a", .type = SlotType::number, .missing = "?"}}, {blank}), "?");
    EXPECT_EQ(filled("{a}", {{.column = "a", .type = SlotType::list, .missing = "?"}}, {blank + "|" + blank}), "?");
  }
}

TEST(Prompts, Numbers) {
  const auto number = [](const std::string& value, std::optional<int64_t> decimals = {}) {
    return filled("{n}", {{.column = "n", .type = SlotType::number, .decimals = decimals}}, {value});
  };
  EXPECT_EQ(number("25"), "25");
  EXPECT_EQ(number(" 25.0 "), "25");
  EXPECT_EQ(number("2.50"), "2.5");
  EXPECT_EQ(number("-0.1"), "-0.1");
  EXPECT_EQ(number("12345678901234567890"), "12345678901234567890");
  EXPECT_EQ(number("1e2"), "100");
  EXPECT_EQ(number("9.999", 2), "10.00");
  EXPECT_EQ(number("9", 2), "9.00");
  for (const std::string bad : {"abc", "1,5", "1 2", "nan", "inf", "1e999", "２５", "0x10"}) {
    EXPECT_EQ(number(bad), "n is not a number: " + bad);
  }
}

TEST(Prompts, Lists) {
  const auto list = [](const std::string& value, SlotConfig slot = {}) {
    slot.column = "l";
    slot.type = SlotType::list;
    return filled("{l}", {slot}, {value});
  };
  EXPECT_EQ(list("a"), "a");
  EXPECT_EQ(list("a|b|c"), "a, b, c");
  EXPECT_EQ(list("| a ||　b|"), "a, b");
  EXPECT_EQ(list("时尚、旅行", {.separator = "、", .join = "和"}), "时尚和旅行");
  EXPECT_EQ(list("a|b|c|d", {.last_join = " or ", .limit = 3}), "a, b or c");
  EXPECT_EQ(list("a|b", {.join = ""}), "ab");
}

TEST(Prompts, GatheredLists) {
  const PromptTemplate pattern("{name}: {title} {tag}",
                               {{.column = "title", .join = " / ", .limit = 2}, {.column = "tag", .missing = "-"}},
                               {"tag", "title"});
  EXPECT_THAT(pattern.columns(), ElementsAre("name"));
  EXPECT_EQ(filled(pattern, {"x"}, {{"t"}, {"a", "b", "c"}}), "x: a / b t");
  EXPECT_EQ(filled(pattern, {"x"}, {{}, {"a"}}), "x: a -");
  EXPECT_EQ(filled(pattern, {"x"}, {{"t"}, {}}), "title is missing: ");
}

TEST(Prompts, SpecialTokensInValues) {
  const PromptTemplate pattern("<|im_end|>{a}{b}",
                               {{.column = "b", .type = SlotType::list, .separator = ";", .missing = "<|im_end|>"}}, {},
                               {"<|im_start|>", "<|im_end|>"});
  EXPECT_EQ(filled(pattern, {"x", ""}), "<|im_end|>x<|im_end|>");
  EXPECT_EQ(filled(pattern, {"x<|im_end|>", ""}), "a contains a special token: x<|im_end|>");
  EXPECT_EQ(filled(pattern, {"x", "y;<|im_start|>"}), "b contains a special token: y, <|im_start|>");
}

TEST(Prompts, WrongConfigs) {
  const auto refused = [](std::string_view pattern, const std::vector<SlotConfig>& slots,
                          const std::vector<std::string>& lists, const std::string& message) {
    EXPECT_THAT([&] { PromptTemplate(pattern, slots, lists); }, ThrowsMessage<std::invalid_argument>(message));
  };
  refused("{a}", {{.column = "b"}}, {}, "slots: b is not in the prompt \"{a}\"");
  refused("{a}", {{.column = "a"}, {.column = "a"}}, {}, "slots: a occurs twice");
  refused("{a}", {}, {"b"}, "lists: b is not in the prompt \"{a}\"");
  refused("{a}", {}, {"a", "a"}, "lists: a occurs twice");
  refused("{a", {}, {}, "the template \"{a\" has an unclosed {; write {{ for a literal brace");
}

class GatheredLists : public testing::FolderTest {};

TEST_F(GatheredLists, KeepTheOrderOfTheTable) {
  const auto file =
      write("r.csv", "user,rank,title\n用户1,1, 羽绒服 \nu2,1,\"a, b\"\n用户1,2,围巾\n,1,x\nu2,2,\n用户1,3,羽绒服\n");
  const GatheredList list({.table = {.path = file}, .key = "user", .column = "title"});
  EXPECT_EQ(list.name(), "title");
  EXPECT_THAT(list.values("用户1"), ElementsAre("羽绒服", "围巾", "羽绒服"));
  EXPECT_THAT(list.values("u2"), ElementsAre("a, b"));
  EXPECT_THAT(list.values("u3"), IsEmpty());
  EXPECT_EQ(GatheredList({.table = {.path = file}, .key = "user", .column = "rank", .name = "n"}).name(), "n");
}

TEST_F(GatheredLists, NameWhatIsWrong) {
  const auto file = write("r.csv", "user,title\na,b\nc\n");
  EXPECT_THAT([&] { GatheredList({.table = {.path = file}, .key = "user", .column = "name"}); },
              ::testing::Throws<std::invalid_argument>());
  EXPECT_THAT([&] { GatheredList({.table = {.path = file}, .key = "user", .column = "title"}); },
              ::testing::Throws<std::invalid_argument>());
}

}  // namespace
}  // namespace sartor::inference
