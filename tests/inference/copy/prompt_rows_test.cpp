// Token ids of prompts and windows of them.
#include "copy/prompt_rows.h"

#include <gmock/gmock.h>

#include "datasets/generation_support.h"
#include "datasets/text_support.h"

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using text::assistant;
using text::bad;
using text::begin_token;
using text::good;
using text::hao;
using text::im_end;
using text::im_start;
using text::user;

std::vector<int32_t> ids_of(const PromptTokens& tokens, const std::string& prompt) {
  const auto found = tokens.encode(std::vector{prompt});
  if (const auto* refusal = std::get_if<Refusal>(&found[0])) {
    ADD_FAILURE() << refusal->reason;
    return {};
  }
  return std::get<std::vector<int32_t>>(found[0]);
}

Refusal refused(const PromptTokens& tokens, const std::string& prompt) {
  const auto found = tokens.encode(std::vector{prompt});
  if (const auto* refusal = std::get_if<Refusal>(&found[0])) return *refusal;
  ADD_FAILURE() << prompt;
  return {};
}

const PromptLimits wide = {.max_length = 100, .max_new_tokens = 10};
const text::Chat chatml = {.format = text::ChatFormat::chatml};

TEST(PromptTokens, BeginAsInTraining) {
  const auto plain = text::generator_tokenizer(false), begins = text::generator_tokenizer(true);
  EXPECT_THAT(ids_of({plain, {}, {}, wide}, "good 好"), ElementsAre(good, hao));
  EXPECT_THAT(ids_of({begins, {}, {}, wide}, "good 好"), ElementsAre(begin_token, good, hao));
  EXPECT_THAT(ids_of({begins, {}, {}, wide}, "<|begin_of_text|>good"), ElementsAre(begin_token, good));
  EXPECT_THAT(ids_of({begins, chatml, {}, wide}, "good"),
              ElementsAre(im_start, user, good, im_end, im_start, assistant));
}

TEST(PromptTokens, AnEmptyPromptBeginsWithAToken) {
  const auto plain = text::generator_tokenizer(false), begins = text::generator_tokenizer(true);
  EXPECT_THAT(ids_of({plain, {}, 3, wide}, ""), ElementsAre(3));
  EXPECT_THAT(ids_of({plain, {}, 3, wide}, " \n"), ElementsAre(3));
  EXPECT_THAT(ids_of({begins, {}, 3, wide}, ""), ElementsAre(begin_token));
  EXPECT_EQ(refused({plain, {}, {}, wide}, "").reason, "prompt has no tokens");
}

TEST(PromptTokens, LongPromptsNameBothNumbers) {
  const auto tokenizer = text::generator_tokenizer(true);
  PromptLimits limits = {.max_length = 8, .max_new_tokens = 4};
  EXPECT_THAT(ids_of({tokenizer, {}, {}, limits}, "good good good"), ElementsAre(begin_token, good, good, good));
  auto refusal = refused({tokenizer, {}, {}, limits}, "good good good 好");
  EXPECT_EQ(refusal.reason, "prompt is too long");
  EXPECT_EQ(refusal.text, "5 tokens, but max_new_tokens 4 leaves 4 of 8: good good good 好");
  EXPECT_FALSE(refusal.fatal);
  limits.long_prompt = LongPrompt::error;
  EXPECT_TRUE(refused({tokenizer, {}, {}, limits}, "good good good 好").fatal);
}

TEST(PromptTokens, AreCutFromTheLeftBehindSpecialTokens) {
  const auto tokenizer = text::generator_tokenizer(true);
  PromptLimits limits = {.max_length = 7, .max_new_tokens = 4, .long_prompt = LongPrompt::cut_left};
  EXPECT_THAT(ids_of({tokenizer, {}, {}, limits}, "bad bad bad good 好"), ElementsAre(begin_token, good, hao));
  EXPECT_THAT(ids_of({tokenizer, {}, {}, limits}, "good 好"), ElementsAre(begin_token, good, hao));
  limits.max_length = 11;
  EXPECT_THAT(ids_of({tokenizer, chatml, {}, limits}, "bad bad bad good 好"),
              ElementsAre(im_start, user, good, hao, im_end, im_start, assistant));
  limits.max_length = 10;
  EXPECT_THAT(ids_of({tokenizer, chatml, {}, limits}, "bad bad bad good 好"),
              ElementsAre(im_start, user, hao, im_end, im_start, assistant));
  limits.max_length = 9;  // nothing of the prompt would be left
  EXPECT_EQ(refused({tokenizer, chatml, {}, limits}, "bad bad bad good 好").reason, "prompt is too long");
}

TEST(PromptTokens, AreCutBetweenCharacters) {
  const text::Tokenizer tokenizer(text::byte_spec());
  const std::string prompt = "羽绒服，围巾。é😀买买买abc 手套";
  const auto whole = std::ssize(ids_of({tokenizer, {}, {}, wide}, prompt));
  ASSERT_GT(whole, 20);
  for (int64_t room = 1; room < whole; room++) {
    const PromptTokens tokens(tokenizer, {}, {},
                              {.max_length = room + 3, .max_new_tokens = 3, .long_prompt = LongPrompt::cut_left});
    const auto found = tokens.encode(std::vector{prompt});
    if (std::holds_alternative<Refusal>(found[0])) {
      EXPECT_LT(room, 4);  // the last character has several tokens
      continue;
    }
    const auto& ids = std::get<std::vector<int32_t>>(found[0]);
    EXPECT_LE(std::ssize(ids), room);
    const auto rest = tokenizer.decode(ids);
    EXPECT_TRUE(prompt.ends_with(rest)) << rest;
    EXPECT_EQ(rest.find("\uFFFD"), rest.npos);
  }
}

// Numbers of tokens of the articles' prompts; the second one leaves nothing of a limit of 50.
TEST(PromptTokens, OfGpt2) {
  const auto folder = text::public_data / "gpt2-tokenizer";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "needs " << folder;
  const text::Tokenizer tokenizer(text::read_tokenizer(folder));
  const std::string english =
      "Generate ad copy for a 25-year-old female who is interested in fashion and travel, to Promote new summer "
      "collection.";
  const std::string chinese =
      "用户偏好：时尚，您可能会喜欢这款新款羽绒服。它的设计时尚简约，保暖性能优异，是冬季必备单品。";
  EXPECT_EQ(ids_of({tokenizer, {}, {}, {.max_length = 1024, .max_new_tokens = 50}}, english).size(), 27);
  EXPECT_EQ(ids_of({tokenizer, {}, {}, {.max_length = 1024, .max_new_tokens = 50}}, chinese).size(), 105);
  EXPECT_EQ(refused({tokenizer, {}, {}, {.max_length = 50, .max_new_tokens = 1}}, chinese).text,
            "105 tokens, but max_new_tokens 1 leaves 49 of 50: " + chinese);
}

text::TextWindow window(const std::vector<std::string>& names) {
  text::TextWindow found = {.part = 3, .ends_part = true, .kept = std::vector<datasets::StringColumn>(2)};
  for (size_t i = 0; i < names.size(); i++) {
    found.rows.push_back(static_cast<int64_t>(10 + i));
    found.places.push_back({"a.csv", static_cast<int64_t>(5 + i)});
    found.ids.push_back("id" + std::to_string(i));
    found.kept[0].push_back("kept" + std::to_string(i));
    found.kept[1].push_back(names[i]);
  }
  return found;
}

TEST(PromptRows, MaskTextsAndRejectRowsInOrder) {
  const auto tokenizer = text::generator_tokenizer(false);
  const PromptTokens tokens(tokenizer, {}, {}, {.max_length = 6, .max_new_tokens = 3});
  const PromptMaker maker(PromptTemplate("好 {name}", {}, {}), {}, true);
  auto rows = window({"good", " ", "good bad good", "13812345678"});
  rows.unfit = {{"a.csv", 6, "line is broken", "x 13812345678"}};
  rows.places[1].row = 7;
  const auto found = prompts_of(std::move(rows), 1, maker, tokens, nullptr);
  EXPECT_EQ(found.part, 3);
  EXPECT_TRUE(found.ends_part);
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found.rows[0].row, 10);
  EXPECT_THAT(found.rows[0].ids, ElementsAre(hao, good));
  EXPECT_THAT(found.ids.views(), ElementsAre("id0"));
  EXPECT_THAT(found.kept[0].views(), ElementsAre("kept0"));
  std::vector<std::string> rejected;
  for (const auto& [file, row, reason, text] : found.rejected) {
    rejected.push_back(std::to_string(row) + " " + reason + ": " + text);
  }
  EXPECT_THAT(rejected,
              ElementsAre("6 line is broken: x ***", "7 name is missing:  ",
                          "7 prompt is too long: 4 tokens, but max_new_tokens 3 leaves 3 of 6: 好 good bad good",
                          "8 prompt is too long: 4 tokens, but max_new_tokens 3 leaves 3 of 6: 好 ***"));
}

TEST(PromptRows, WithoutMasksTheModelSeesTheNumber) {
  const auto tokenizer = text::generator_tokenizer(false);
  const PromptTokens tokens(tokenizer, {}, {}, wide);
  for (const bool masks : {false, true}) {
    const PromptMaker maker(PromptTemplate("{name}", {}, {}), {}, masks);
    const auto found = prompts_of(window({"好13812345678"}), 1, maker, tokens, nullptr);
    EXPECT_EQ(found.rows[0].text, masks ? "好***" : "好13812345678");
    EXPECT_EQ(found.rows[0].masked[privacy::Kind::mobile], masks);
  }
}

TEST(PromptRows, LongPromptsAreAnErrorThatNamesTheRow) {
  const auto tokenizer = text::generator_tokenizer(false);
  const PromptTokens tokens(tokenizer, {}, {},
                            {.max_length = 4, .max_new_tokens = 3, .long_prompt = LongPrompt::error});
  const PromptMaker maker(PromptTemplate("{name}", {}, {}), {}, true);
  EXPECT_THAT(
      [&] {
        prompts_of(window({"good", "good\tbad"}), 1, maker, tokens, nullptr);
      },
      ThrowsMessage<std::invalid_argument>("a.csv: row 6: prompt is too long: 2 tokens, but max_new_tokens 3 "
                                           "leaves 1 of 4: good\\tbad"));
}

}  // namespace
}  // namespace sartor::inference
