#include "copy/row_texts.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;

Written text(int32_t draw, const std::string& what) { return {.row = 1, .variant = draw, .ids = {1, 2}, .text = what}; }

FiltersConfig filters(Rejected rejected = Rejected::write) {
  FiltersConfig config;
  config.banned_words = {"bad"};
  config.duplicates = Duplicates::exact;
  config.refill = {.attempts = 3, .rejected = rejected};
  return config;
}

std::vector<std::string> summary(std::vector<Copy> copies) {
  std::vector<std::string> lines;
  for (const auto& copy : copies) {
    lines.push_back(
        fmt::format("{} {} {} {}", copy.variant, copy.written.variant, copy.written.text, name_of(copy.fate)));
    for (const auto verdict : copy.verdicts) lines.back() += fmt::format(" {}", name_of(verdict));
  }
  return lines;
}

TEST(RowTexts, ReplaceRejectedTexts) {
  const auto config = filters();
  const TextFilters judge(config);
  RowTexts texts(3);
  EXPECT_EQ(texts.add(text(2, "a"), judge, config.refill), std::nullopt);
  EXPECT_EQ(texts.add(text(0, "a"), judge, config.refill), std::nullopt);
  EXPECT_EQ(texts.add(text(1, "bad"), judge, config.refill), 2);
  EXPECT_EQ(texts.first_draw(), 3);
  EXPECT_EQ(texts.add(text(4, "b"), judge, config.refill), std::nullopt);
  EXPECT_EQ(texts.add(text(3, "a"), judge, config.refill), 1);
  EXPECT_EQ(texts.first_draw(), 5);
  EXPECT_EQ(texts.add(text(5, "c"), judge, config.refill), 0);
  EXPECT_THAT(summary(texts.take()),
              ElementsAre("0 0 a written", "1 1 bad replaced banned_word", "1 3 a replaced duplicate", "1 5 c written",
                          "2 2 a replaced duplicate", "2 4 b written"));
}

TEST(RowTexts, TheLastAttemptIsWrittenOrDropped) {
  for (const auto rejected : {Rejected::write, Rejected::drop}) {
    const auto config = filters(rejected);
    const TextFilters judge(config);
    RowTexts texts(2);
    texts.add(text(0, "bad"), judge, config.refill);
    EXPECT_EQ(texts.add(text(1, "x"), judge, config.refill), 1);
    EXPECT_EQ(texts.add(text(2, "bad 2"), judge, config.refill), 1);
    EXPECT_EQ(texts.add(text(3, "bad 3"), judge, config.refill), 0);
    const std::string fate = rejected == Rejected::write ? "written" : "dropped";
    EXPECT_THAT(summary(texts.take()), ElementsAre("0 0 bad replaced banned_word", "0 2 bad 2 replaced banned_word",
                                                   "0 3 bad 3 " + fate + " banned_word", "1 1 x written"));
  }
}

TEST(RowTexts, VerdictsDoNotDependOnTheOrder) {
  const auto config = filters();
  const TextFilters judge(config);
  std::vector<int32_t> order = {0, 1, 2, 3};
  const std::vector<std::string> written = {"a", "b", "a", "b"};
  do {
    RowTexts texts(4);
    std::optional<int32_t> more;
    for (const auto draw : order) more = texts.add(text(draw, written[draw]), judge, config.refill);
    EXPECT_EQ(more, 2);
    texts.add(text(5, "d"), judge, config.refill);
    EXPECT_EQ(texts.add(text(4, "c"), judge, config.refill), 0);
    EXPECT_THAT(summary(texts.take()), ElementsAre("0 0 a written", "1 1 b written", "2 2 a replaced duplicate",
                                                   "2 4 c written", "3 3 b replaced duplicate", "3 5 d written"));
  } while (std::ranges::next_permutation(order).found);
}

}  // namespace
}  // namespace sartor::inference
