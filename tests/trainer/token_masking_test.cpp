// Masks for language modeling: which tokens are masked, how many, and with which frequencies.
#include "tasks/texts/token_masking.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <numeric>

#include "text/tokenizers/tokenizer.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

text::TokenizerSpec spec(const std::string& vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n好\n坏\ngood\n##s\n😀\n") {
  return text::parse_bert_tokenizer(vocabulary, "vocab.txt", "", "");
}

std::vector<int32_t> row_of(int64_t words) {
  std::vector<int32_t> row = {2};
  for (int64_t i = 0; i < words; i++) row.push_back(static_cast<int32_t>(5 + i % 5));
  row.push_back(3);
  return row;
}

TEST(TokenMasking, CountsAShareButAtLeastOne) {
  const TokenMasking masking(spec(), 0.15);
  for (const auto& [words, predicted] : std::map<int64_t, int64_t>{{1, 1}, {3, 1}, {9, 1}, {10, 2}, {100, 15}}) {
    EXPECT_EQ(masking.predicted(row_of(words)), predicted) << words;
    auto row = row_of(words);
    EXPECT_EQ(masking.mask(row, 1).size(), predicted) << words;
  }
  EXPECT_EQ(TokenMasking(spec(), 1).predicted(row_of(7)), 7);
}

TEST(TokenMasking, LeavesWhatIsSpecialAlone) {
  const TokenMasking masking(spec(), 0.9);
  std::vector<int32_t> nothing = {2, 1, 1, 4, 0, 3};
  EXPECT_THAT(masking.mask(nothing, 7), IsEmpty());
  EXPECT_THAT(nothing, ElementsAre(2, 1, 1, 4, 0, 3));
  EXPECT_EQ(masking.predicted(nothing), 0);
  EXPECT_EQ(masking.predicted(std::vector<int32_t>()), 0);

  const text::Tokenizer tokenizer(spec());
  const auto encoded = tokenizer.encode("好😀龘 goods\xff 坏");  // neither 龘 nor the invalid byte is a token
  for (uint64_t seed = 0; seed < 100; seed++) {
    auto ids = encoded.ids;
    for (const auto place : masking.mask(ids, seed)) EXPECT_GE(encoded.ids[place], 5);
    for (size_t i = 0; i < ids.size(); i++) {
      if (encoded.ids[i] < 5) {
        EXPECT_EQ(ids[i], encoded.ids[i]);
      } else {
        EXPECT_GE(ids[i], 4);  // replacements are [MASK] or not special
      }
    }
  }
}

TEST(TokenMasking, HidesEightOfTenAndReplacesOne) {
  const TokenMasking masking(spec(), 0.5);
  double predicted = 0, hidden = 0, changed = 0;
  std::map<int32_t, double> instead;
  std::vector<double> chosen(42);
  constexpr int rows = 5000;
  for (uint64_t seed = 0; seed < rows; seed++) {
    const auto before = row_of(40);
    auto row = before;
    const auto places = masking.mask(row, seed);
    EXPECT_TRUE(std::ranges::is_sorted(places));
    for (const auto place : places) {
      chosen[place]++;
      predicted++;
      hidden += row[place] == 4;
      if (row[place] == 4) continue;
      changed += row[place] != before[place];
      instead[row[place]]++;
    }
  }
  const auto expect_share = [](double found, double of, double share) {  // within five standard deviations
    EXPECT_NEAR(found / of, share, 5 * std::sqrt(share * (1 - share) / of));
  };
  EXPECT_EQ(predicted, 20.0 * rows);
  expect_share(hidden, predicted, 0.8);
  expect_share(changed, predicted, 0.1 * 4 / 5);  // one of five replacements is the token itself
  for (const auto& [id, count] : instead) expect_share(count, predicted * 0.2, 0.2);
  EXPECT_EQ(instead.size(), 5);
  for (int64_t place = 1; place <= 40; place++) expect_share(chosen[place], rows, 0.5);
}

TEST(TokenMasking, FollowsFromTheSeed) {
  const TokenMasking masking(spec(), 0.3);
  auto one = row_of(50), same = row_of(50), other = row_of(50);
  const auto places = masking.mask(one, 11);
  EXPECT_EQ(masking.mask(same, 11), places);
  EXPECT_EQ(same, one);
  EXPECT_NE(masking.mask(other, 12), places);
}

TEST(TokenMasking, RefusesTokenizersAndIdsThatDoNotFit) {
  const auto refused = [](const text::TokenizerSpec& tokenizer, const char* message) {
    EXPECT_THAT([&] { TokenMasking masking(tokenizer, 0.15); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  refused(spec("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"), "only special tokens");
  auto without = spec();
  std::erase_if(without.added_tokens, [](const auto& token) { return token.content == "[MASK]"; });
  refused(without, "no special token [MASK]");
  const TokenMasking masking(spec(), 0.15);
  for (const int32_t id : {-1, 10}) {
    EXPECT_THAT(
        [&] {
          masking.predicted(std::vector<int32_t>{2, id, 3});
        },
        ThrowsMessage<std::invalid_argument>(HasSubstr("token id " + std::to_string(id))));
  }
}

}  // namespace
}  // namespace sartor
