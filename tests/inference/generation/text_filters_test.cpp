#include "generation/text_filters.h"

#include <gmock/gmock.h>

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;
using enum Verdict;

std::vector<Verdict> judge(const FiltersConfig& config, std::string_view text, int64_t tokens = 5) {
  KeptTexts kept;
  return TextFilters(config).judge(text, tokens, kept);
}

FiltersConfig banning(std::vector<std::string> words) { return {.banned_words = std::move(words)}; }

TEST(TextFilters, WithoutSettingsAnyTextPasses) {
  for (const auto* text : {"", " ", "a", "a", "\xff\xfe", "羽绒服"}) EXPECT_THAT(judge({}, text), IsEmpty()) << text;
}

TEST(TextFilters, CountsCodePointsWithoutSpacesAtTheEnds) {
  const FiltersConfig config = {.min_characters = 2, .max_characters = 4};
  EXPECT_THAT(judge(config, "羽绒"), IsEmpty());
  EXPECT_THAT(judge(config, "羽绒服好"), IsEmpty());
  EXPECT_THAT(judge(config, "\n 羽绒 服\u3000\t"), IsEmpty());
  EXPECT_THAT(judge(config, "羽"), ElementsAre(too_short));
  EXPECT_THAT(judge(config, " 羽  "), ElementsAre(too_short));
  EXPECT_THAT(judge(config, " \u3000 "), ElementsAre(too_short));
  EXPECT_THAT(judge(config, "羽绒服很好"), ElementsAre(too_long));
  EXPECT_THAT(judge(config, "\U0001F600\U0001F600"), IsEmpty());
  EXPECT_THAT(judge(config, "\xe7\xbe\xe7\xbe"), IsEmpty()) << "two beginnings of characters are two U+FFFD";
}

TEST(TextFilters, CountsTokens) {
  const FiltersConfig config = {.min_tokens = 2, .max_tokens = 3};
  EXPECT_THAT(judge(config, "a", 1), ElementsAre(too_few_tokens));
  EXPECT_THAT(judge(config, "a", 2), IsEmpty());
  EXPECT_THAT(judge(config, "a", 3), IsEmpty());
  EXPECT_THAT(judge(config, "a", 4), ElementsAre(too_many_tokens));
}

TEST(Folded, IgnoresCaseWidthAndWhitespace) {
  EXPECT_EQ(folded("  ＡＢＣ\u3000１２３！\t\nÄÖ "), "abc 123! äö");
  EXPECT_EQ(folded("cafe\u0301"), "caf\u00e9");
  EXPECT_EQ(folded("CAFE\u0301"), folded("caf\u00c9"));
  EXPECT_EQ(folded("免\u200b费\u00ad送"), "免费送");
  EXPECT_EQ(folded("a\xff\xe5\xa5z"), "az");
  EXPECT_EQ(folded(""), "");
  EXPECT_EQ(folded("\n \u3000"), "");
}

TEST(TextFilters, BannedWordsAreWholeWordsWhereSpacesSeparateThem) {
  const auto config = banning({"Art", "free gift"});
  for (const auto* text :
       {"art", "ART.", "an art!", "中文art中文", "ＡＲＴ", "a-r-t art", "Free\n  GIFT", "(free gift)"}) {
    EXPECT_THAT(judge(config, text), ElementsAre(banned_word)) << text;
  }
  for (const auto* text : {"start", "arts", "art1", "carefree gift", "free gifts", "freegift", "àart", "a-r-t"}) {
    EXPECT_THAT(judge(config, text), IsEmpty()) << text;
  }
}

TEST(TextFilters, BannedWordsAreAnywhereInChinese) {
  const auto config = banning({"免费", "５折", "最!"});
  for (const auto* text : {"全场免费送", "免\u200b费", "现在5折起", "只要５折", "价格最！低"}) {
    EXPECT_THAT(judge(config, text), ElementsAre(banned_word)) << text;
  }
  for (const auto* text : {"免于费用", "现在15折起", "最低", "5", ""})
    EXPECT_THAT(judge(config, text), IsEmpty()) << text;
}

TEST(TextFilters, RequiresAllWords) {
  const FiltersConfig config = {.required_words = {"羽绒服", "Warm", "warm"}};
  EXPECT_THAT(judge(config, "WARM 羽绒服"), IsEmpty());
  EXPECT_THAT(judge(config, "warm"), ElementsAre(missing_word));
  EXPECT_THAT(judge(config, "羽绒服 warmer"), ElementsAre(missing_word));
  EXPECT_THAT(judge(config, ""), ElementsAre(missing_word));
}

TEST(TextFilters, GivesAllReasonsInOrder) {
  const FiltersConfig config = {
      .min_characters = 10, .max_tokens = 3, .banned_words = {"bad"}, .required_words = {"good"}};
  EXPECT_THAT(judge(config, "bad", 4), ElementsAre(too_short, too_many_tokens, banned_word, missing_word));
}

TEST(TextFilters, RejectsExactDuplicatesOfKeptTexts) {
  const TextFilters filters({.duplicates = Duplicates::exact, .banned_words = {"bad"}});
  KeptTexts row, other_row;
  EXPECT_THAT(filters.judge("这款羽绒服 Good", 5, row), IsEmpty());
  EXPECT_THAT(filters.judge("这款羽绒服  ＧＯＯＤ ", 5, row), ElementsAre(duplicate));
  EXPECT_THAT(filters.judge("这款羽绒服 Good", 5, other_row), IsEmpty());
  EXPECT_THAT(filters.judge("这款羽绒服 good!", 5, row), IsEmpty());
  EXPECT_THAT(filters.judge("bad", 5, row), ElementsAre(banned_word));
  EXPECT_THAT(filters.judge("bad", 5, row), ElementsAre(banned_word)) << "a rejected text is not compared";
  EXPECT_THAT(filters.judge("", 5, row), IsEmpty());
  EXPECT_THAT(filters.judge("", 5, row), ElementsAre(duplicate));
}

TEST(TextFilters, KeepsDuplicatesIfAsked) {
  const TextFilters filters({});
  KeptTexts row;
  for (int i = 0; i < 2; i++) EXPECT_THAT(filters.judge("a", 5, row), IsEmpty());
}

TEST(TextFilters, NearDuplicatesShareTrigrams) {
  // abcdef has the trigrams abc bcd cde def, abcdeg has abc bcd cde deg: similarity 3/5
  KeptTexts row;
  EXPECT_THAT(TextFilters({.duplicates = Duplicates::near, .near_similarity = 0.61}).judge("abcdef", 5, row),
              IsEmpty());
  KeptTexts same = row;
  EXPECT_THAT(TextFilters({.duplicates = Duplicates::near, .near_similarity = 0.61}).judge("abcdeg", 5, same),
              IsEmpty());
  EXPECT_THAT(TextFilters({.duplicates = Duplicates::near, .near_similarity = 0.6}).judge("abcdeg", 5, row),
              ElementsAre(near_duplicate));
  EXPECT_THAT(TextFilters({.duplicates = Duplicates::near}).judge("ABCDEF", 5, row), ElementsAre(duplicate));
  EXPECT_THAT(TextFilters({.duplicates = Duplicates::exact}).judge("abcdeg", 5, row), IsEmpty());
}

TEST(TextFilters, ShortTextsAreNearOnlyIfEqual) {
  const TextFilters filters({.duplicates = Duplicates::near, .near_similarity = 0.01});
  KeptTexts row;
  EXPECT_THAT(filters.judge("羽绒", 5, row), IsEmpty());
  EXPECT_THAT(filters.judge("羽", 5, row), IsEmpty());
  EXPECT_THAT(filters.judge("羽绒服", 5, row), IsEmpty());
  EXPECT_THAT(filters.judge("", 5, row), IsEmpty());
  EXPECT_THAT(filters.judge("\xff", 5, row), ElementsAre(duplicate)) << "broken bytes are not compared";
}

TEST(TextFilters, AThousandWordsCostNoMoreThanTheText) {
  std::vector<std::string> words;
  for (int i = 0; i < 1000; i++) words.push_back("词" + std::to_string(i));
  const WordFinder finder(words);
  EXPECT_EQ(finder.size(), 1000);
  EXPECT_EQ(finder.count_found(folded("没有词")), 0);
  EXPECT_EQ(finder.count_found(folded("词999，词9 词９９９")), 2);
}

void expect_refused(const FiltersConfig& config, const std::string& message) {
  EXPECT_THAT([&] { config.check(); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
}

TEST(FiltersConfig, RefusesContradictions) {
  FiltersConfig({.min_characters = 3, .max_characters = 3}).check();
  expect_refused({.min_characters = 4, .max_characters = 3}, "min_characters 4 is above max_characters 3");
  expect_refused({.min_tokens = 2, .max_tokens = 1}, "min_tokens 2 is above max_tokens 1");
  expect_refused(banning({"a", " \u200b"}), "banned_words[1] has no character to compare");
  expect_refused({.required_words = {""}}, "required_words[0] has no character to compare");
  expect_refused({.banned_words = {"free"}, .required_words = {"FREE gift"}},
                 "required_words has FREE gift, which contains a banned word");
}

}  // namespace
}  // namespace sartor::inference
