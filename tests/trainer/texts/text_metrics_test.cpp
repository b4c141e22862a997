// Text metrics against published figures, naive computations and properties.
#include <gmock/gmock.h>

#include "base/random.h"
#include "metrics/texts/bleu.h"
#include "metrics/texts/chrf.h"
#include "metrics/texts/diversity.h"
#include "metrics/texts/lcs.h"
#include "metrics/texts/ngrams.h"
#include "metrics/texts/porter.h"
#include "metrics/texts/python_text.h"
#include "metrics/texts/rouge.h"

namespace sartor::text_metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

std::vector<std::string> strings(const Tokens& tokens) {
  std::vector<std::string> found;
  for (const auto& token : tokens) found.push_back(encode(token));
  return found;
}
std::vector<std::string> tokens(Tokenizer tokenizer, std::string_view text) {
  return strings(tokenize(tokenizer, decode(text)));
}

double bleu_of(const BleuConfig& config, std::string_view hypothesis, std::string_view reference) {
  const Bleu bleu(config);
  return bleu.score(bleu.count(hypothesis, {{reference}})).score;
}

BleuConfig with(Tokenizer tokenizer, Smoothing smoothing = Smoothing::exp) {
  return {.tokenizer = tokenizer, .smoothing = smoothing};
}

TEST(Bleu, SmoothingOfOneChangedCharacter) {
  const auto score = [](Smoothing smoothing) {
    return bleu_of(with(Tokenizer::zh, smoothing), "这款羽绒服", "这件羽绒衣");
  };
  EXPECT_NEAR(score(Smoothing::exp), 23.643540, 5e-7);
  EXPECT_NEAR(score(Smoothing::floor), 12.574334, 5e-7);
  EXPECT_NEAR(score(Smoothing::add_k), 37.606031, 5e-7);
  EXPECT_EQ(score(Smoothing::none), 0);
}

TEST(Bleu, ShortCopyNeedsTheEffectiveOrder) {
  EXPECT_EQ(bleu_of(with(Tokenizer::zh), "羽绒服", "羽绒服"), 0);
  EXPECT_NEAR(bleu_of({.tokenizer = Tokenizer::zh, .effective_order = true}, "羽绒服", "羽绒服"), 100, 1e-9);
  const Bleu bleu(with(Tokenizer::zh));
  EXPECT_NEAR(bleu.score_of_text(bleu.count("羽绒服", {{"羽绒服"}})).score, 100, 1e-9);
}

// The published figures of a Chinese advertisement, of 40 characters, against its prompt, of 38.
TEST(Bleu, ScoreOfCounts) {
  const Bleu bleu(with(Tokenizer::zh));
  const auto [score, precisions, penalty] = bleu.score(
      {.hypothesis_length = 40, .reference_length = 38, .matches = {22, 13, 10, 8}, .totals = {40, 39, 38, 37}});
  EXPECT_NEAR(score, 31.958510, 5e-7);
  EXPECT_EQ(penalty, 1);
  EXPECT_NEAR(precisions[0], 55, 1e-9);
  EXPECT_NEAR(precisions[1], 33.3333, 5e-5);
  EXPECT_NEAR(precisions[2], 26.3158, 5e-5);
  EXPECT_NEAR(precisions[3], 21.6216, 5e-5);
}

TEST(Bleu, DoesNotSeeChineseWithoutTheRightTokenizer) {
  constexpr std::string_view hypothesis = "这款羽绒服保暖性能优异，是冬季必备单品。";
  constexpr std::string_view reference = "这款羽绒服的保暖性能优异，是冬季必备单品。";
  EXPECT_EQ(bleu_of(with(Tokenizer::mteval_13a), hypothesis, reference), 0);
  EXPECT_EQ(bleu_of(with(Tokenizer::none), hypothesis, reference), 0);
  EXPECT_GT(bleu_of(with(Tokenizer::zh), hypothesis, reference), 80);
}

TEST(Bleu, OfAnEmptyHypothesisIsZero) {
  const Bleu bleu(with(Tokenizer::zh));
  const auto counts = bleu.count("", {{"羽绒服", ""}});
  EXPECT_EQ(counts.reference_length, 0) << "the closest length";
  EXPECT_EQ(bleu.score_of_text(counts).score, 0);
  EXPECT_EQ(bleu.score(bleu.count("", {{"羽绒服"}})).brevity_penalty, 0);
}

TEST(Bleu, CountsAreAdditive) {
  const Bleu bleu(with(Tokenizer::characters));
  const auto one = bleu.count("abcd", {{"abce"}}), other = bleu.count("羽绒服", {{"羽绒"}});
  BleuCounts sum, weighted;
  for (const auto& each : {one, other, one, one}) sum.add(each);
  weighted.add(other);
  weighted.add(one, 3);
  EXPECT_EQ(sum, weighted);
}

TEST(Bleu, RefusesAValueWithoutUse) {
  BleuConfig({.smoothing = Smoothing::floor, .smoothing_value = 0.5}).check();
  EXPECT_THAT([] { BleuConfig({.smoothing_value = 0.5}).check(); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("smoothing_value is for smoothing floor and add-k")));
}

TEST(Chrf, SplitsOneMarkOffWords) {
  const Chrf words({.char_order = 1, .word_order = 1});
  EXPECT_EQ(words.count("(hi) !", {{"(hi ) !"}}).orders[1], (Overlap{3, 4, 2})) << "only one mark of (hi)";
  EXPECT_EQ(words.count("'hi", {{"' hi"}}).orders[1], (Overlap{2, 2, 2}));
  EXPECT_EQ(words.count("好。", {{"好。"}}).orders[1], (Overlap{1, 1, 1})) << "ASCII marks only";
}

RougeScore rouge_of(RougeType type, Tokenizer tokenizer, std::string_view hypothesis, std::string_view reference) {
  return Rouge({.types = {type}, .tokenizer = tokenizer}).score(hypothesis, {{reference}})[0];
}

TEST(Rouge, EqualsPublishedEnglishFigures) {
  const auto f1 = [](RougeType type) {
    return rouge_of(type, Tokenizer::rouge, "The quick brown dog jumps on the log.",
                    "The quick brown fox jumps over the lazy dog")
        .f1;
  };
  EXPECT_NEAR(f1(RougeType::rouge1), .705882, 5e-7);
  EXPECT_NEAR(f1(RougeType::rouge2), .266667, 5e-7);
  EXPECT_NEAR(f1(RougeType::rougeL), .588235, 5e-7);
}

// Texts with the counts of the published Chinese figures: 40 and 38 characters, of which 22 are common, with 13 bigrams
// and a subsequence of 18.
TEST(Rouge, EqualsPublishedChineseFigures) {
  const std::string a = "一二三四五六七八九十甲乙丙丁";  // 14 characters: 13 bigrams
  const std::string hypothesis = a + "子东丑西寅南卯北辰春巳夏午秋未冬申酉戌亥日月星山水火";  // 26
  const std::string reference = a + "东上西下北左南右冬中秋前夏后春里外间旁末始终远近";       // 24
  const auto one = rouge_of(RougeType::rouge1, Tokenizer::characters, hypothesis, reference);
  EXPECT_NEAR(one.precision, .55, 1e-12);
  EXPECT_NEAR(one.recall, .578947, 5e-7);
  EXPECT_NEAR(one.f1, .564103, 5e-7);
  EXPECT_NEAR(rouge_of(RougeType::rouge2, Tokenizer::characters, hypothesis, reference).f1, .342105, 5e-7);
  EXPECT_NEAR(rouge_of(RougeType::rougeL, Tokenizer::characters, hypothesis, reference).f1, .461538, 5e-7);
  EXPECT_EQ(rouge_of(RougeType::rouge1, Tokenizer::rouge, hypothesis, hypothesis).f1, 0) << "ASCII only";
  EXPECT_EQ(rouge_of(RougeType::rouge1, Tokenizer::zh, hypothesis, hypothesis).f1, 1);
}

TEST(Rouge, SummaryJoinsLines) {
  // after Lin (2004), section 3.2: the union of w1 w2 and w1 w3 w5 is w1 w2 w3 w5
  EXPECT_NEAR(
      rouge_of(RougeType::rougeLsum, Tokenizer::none, "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5").recall, 0.8,
      1e-12);
  EXPECT_EQ(rouge_of(RougeType::rougeLsum, Tokenizer::none, "\n\n", "a").f1, 0);
}

TEST(Rouge, RefusesContradictions) {
  EXPECT_THAT([] { RougeConfig({.types = {}}).check(); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("types is empty")));
  EXPECT_THAT([] { RougeConfig({.tokenizer = Tokenizer::zh, .stemmer = true}).check(); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("stemmer requires tokenizer: rouge, tokenizer is zh")));
}

TEST(Tokenizers, DivideMixedText) {
  constexpr std::string_view text = "买3件, 省1,000.5元! it's ＯＫ—a.b";
  EXPECT_THAT(tokens(Tokenizer::none, text), ElementsAre("买3件,", "省1,000.5元!", "it's", "ＯＫ—a.b"));
  EXPECT_THAT(tokens(Tokenizer::mteval_13a, text),
              ElementsAre("买3件", ",", "省1,000.5元", "!", "it's", "ＯＫ—a", ".", "b"));
  EXPECT_THAT(tokens(Tokenizer::zh, text),
              ElementsAre("买", "3", "件", ",", "省", "1,000.5", "元", "!", "it's", "Ｏ", "Ｋ", "—", "a", ".", "b"));
  EXPECT_THAT(tokens(Tokenizer::intl, text),
              ElementsAre("买3件", ",", "省1,000.5元", "!", "it", "'", "s", "ＯＫ", "—", "a", ".", "b"));
  EXPECT_THAT(tokens(Tokenizer::characters, " 好\tA\u3000"), ElementsAre("好", "A"));
  EXPECT_THAT(tokens(Tokenizer::rouge, text), ElementsAre("3", "1", "000", "5", "it", "s", "a", "b"));
  for (const auto& [name, tokenizer] : choices(Tokenizer()))
    EXPECT_THAT(tokens(tokenizer, " \u3000"), IsEmpty()) << name;
}

TEST(Tokenizers, ReplaceBrokenBytes) {
  EXPECT_THAT(tokens(Tokenizer::characters,
                     "\xe5\xa5"
                     "a\xff"),
              ElementsAre("\uFFFD", "a", "\uFFFD"));
}

TEST(PorterStem, KnowsExamplesOfThePaperAndIrregularWords) {
  for (const auto& [word, stem] :
       {std::pair("caresses", "caress"), std::pair("ponies", "poni"), std::pair("hopping", "hop"),
        std::pair("relational", "relat"), std::pair("dying", "die"), std::pair("ties", "tie"),
        std::pair("controlling", "control"), std::pair("skies", "sky")}) {
    EXPECT_EQ(porter_stem(word), stem);
  }
}

// The table and the way back of rouge-score.
std::vector<int64_t> naive_positions(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  std::vector<std::vector<int>> t(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 1; i <= a.size(); i++) {
    for (size_t j = 1; j <= b.size(); j++) {
      t[i][j] = a[i - 1] == b[j - 1] ? t[i - 1][j - 1] + 1 : std::max(t[i - 1][j], t[i][j - 1]);
    }
  }
  std::vector<int64_t> positions;
  for (size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) {
      positions.insert(positions.begin(), static_cast<int64_t>(--i));
      j--;
    } else {
      t[i][j - 1] > t[i - 1][j] ? j-- : i--;
    }
  }
  return positions;
}

TEST(CommonSubsequences, EqualTheNaiveTable) {
  for (const size_t size : {0, 1, 2, 5, 63, 64, 65, 127, 128, 129, 200}) {
    for (uint64_t seed = 0; seed < 20; seed++) {
      const auto sequence = [&](uint64_t which, size_t length) {
        std::vector<int32_t> tokens(length);
        for (size_t i = 0; i < length; i++)
          tokens[i] = static_cast<int32_t>(random_bits(seed, 1000 * which + i) % (2 + seed));
        return tokens;
      };
      const auto b = sequence(1, size);
      CommonSubsequences common(b);
      for (const size_t other : {size, size / 2, size + 3}) {
        const auto a = sequence(2, other);
        const auto positions = naive_positions(a, b);
        EXPECT_EQ(common.positions(a), positions) << size << " " << seed;
        EXPECT_EQ(common.length(a), std::ssize(positions)) << size << " " << seed;
      }
    }
  }
}

TEST(Ngrams, AreNumberedExactly) {
  Ngrams ngrams({{7, 8, 7, 8}, {8, 7, 8}, {7}});
  EXPECT_EQ(ngrams.distinct(), 2);
  ngrams.lengthen();
  EXPECT_THAT(ngrams.of(0), ElementsAre(0, 1, 0));
  EXPECT_THAT(ngrams.of(1), ElementsAre(1, 0));
  EXPECT_THAT(ngrams.of(2), IsEmpty());
  EXPECT_EQ(overlap(ngrams, 0, 1), (Overlap{3, 2, 2}));
  for (int n = 3; n < 6; n++) ngrams.lengthen();
  EXPECT_EQ(ngrams.distinct(), 0);
}

TEST(Diversity, CountsDistinctNgrams) {
  const std::vector<std::string> texts = {"这款羽绒服", "这款好", ""};
  EXPECT_DOUBLE_EQ(distinct_n(texts, 1), 6.0 / 8);
  EXPECT_DOUBLE_EQ(distinct_n(texts, 2), 5.0 / 6);
  EXPECT_DOUBLE_EQ(distinct_n(texts, 5), 1);
  EXPECT_EQ(distinct_n(texts, 6), 0);
  EXPECT_EQ(distinct_n({}, 1), 0);
}

TEST(Diversity, SelfBleuIsHighForEqualTexts) {
  EXPECT_NEAR(self_bleu({"这款羽绒服", "这款羽绒服"}), 100, 1e-9);
  EXPECT_EQ(self_bleu({"这款羽绒服", "不同的内容"}), 0);
  EXPECT_EQ(self_bleu({"这款羽绒服"}), 0);
  EXPECT_EQ(self_bleu({}), 0);
  EXPECT_EQ(self_bleu({"", "", "a"}), 0);
}

}  // namespace
}  // namespace sartor::text_metrics
