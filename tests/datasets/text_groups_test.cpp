// Repeated rows, best_of and the split of rows for generators.
#include <map>
#include <set>

#include "datasets/generation_support.h"

namespace sartor::text {
namespace {

using datasets::Part;
using datasets::StoredTexts;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::ThrowsMessage;

class GeneratorSplit : public GeneratorFile {
 protected:
  // `number` as a text of the tokens 好 and 坏.
  static std::string binary(int number) {
    std::string text;
    for (int bit = 0; bit < 6; bit++) text += (number >> bit) % 2 ? "好" : "坏";
    return text;
  }

  // The distinct prompts, or else completions, of a part.
  static std::set<std::vector<int32_t>> texts_of(const StoredTexts& part, bool prompts) {
    std::set<std::vector<int32_t>> found;
    for (int64_t row = 0; row < part.rows(); row++) {
      const auto ids = part.ids(row);
      const auto middle = ids.begin() + part.second()[row];
      found.emplace(prompts ? ids.begin() : middle, prompts ? middle : ids.end());
    }
    return found;
  }

  static void expect_disjoint(const datasets::TokenizedTexts& data, bool prompts) {
    std::map<std::vector<int32_t>, int> parts;
    for (const auto* part : {&data.train, &data.validation, &data.test}) {
      for (const auto& text : texts_of(*part, prompts)) parts[text]++;
    }
    for (const auto& [text, count] : parts) EXPECT_EQ(count, 1) << ::testing::PrintToString(text);
  }
};

TEST_F(GeneratorSplit, RowsOfAPromptAreInOnePart) {
  std::string rows;
  for (int i = 0; i < 200; i++) rows += binary(i % 40) + "," + binary(i / 4) + ",\n";
  const TextSplitConfig split = {.test = 0.2, .validation = 0.1};
  const auto data = write_file(pairs(rows), {}, {32}, split);
  expect_disjoint(data, true);
  EXPECT_EQ(texts_of(data.train, true).size(), 28);  // of 40 prompts
  EXPECT_EQ(texts_of(data.validation, true).size(), 4);
  EXPECT_EQ(texts_of(data.test, true).size(), 8);
  EXPECT_EQ(data.test.rows(), 40);
  EXPECT_EQ(report_.groups, 40);
}

TEST_F(GeneratorSplit, DoesNotDependOnTheOrderButOnTheSeed) {
  std::vector<std::string> rows;
  for (int i = 0; i < 60; i++) rows.push_back(binary(i % 20) + "," + binary(i) + ",\n");
  const auto test_prompts = [&](int64_t seed) {
    std::string text;
    for (const auto& row : rows) text += row;
    return texts_of(write_file(pairs(text), {}, {32}, {.test = 0.3, .seed = seed}).test, true);
  };
  const auto first = test_prompts(0);
  std::ranges::reverse(rows);
  EXPECT_EQ(test_prompts(0), first);
  EXPECT_NE(test_prompts(1), first);
}

TEST_F(GeneratorSplit, ByCompletionIsTheSplitOfPlainTexts) {
  std::string rows, texts;
  for (int i = 0; i < 50; i++) {
    rows += (i % 2 ? "good," : "bad,") + binary(i) + ",\n";
    texts += binary(i) + ",,\n";
  }
  rows += "good good," + binary(7) + ",\n";
  const TextSplitConfig split = {.test = 0.2, .validation = 0.2};
  const auto plain = write_file(csv(texts), {}, {32}, split);
  auto texts_in = [&](const StoredTexts& part) {
    std::set<std::vector<int32_t>> found;
    for (auto ids : rows_of(part)) found.emplace(ids.begin() + 1, ids.end());  // without the beginning
    return found;
  };
  const std::vector expected = {texts_in(plain.train), texts_in(plain.validation), texts_in(plain.test)};
  const auto data = write_file(pairs(rows), {.split_by = SplitBy::completion}, {32}, split);
  EXPECT_THAT((std::vector{texts_of(data.train, false), texts_of(data.validation, false), texts_of(data.test, false)}),
              expected);
  EXPECT_EQ(report_.groups, 50);
  expect_disjoint(data, false);
}

// So that a tokenizer learns from the rows that the generator learns from.
TEST_F(GeneratorSplit, PlainTextsAreSplitAsForOtherModels) {
  std::string rows;
  for (int i = 0; i < 50; i++) rows += binary(i % 45) + ",,\n";
  const auto config = csv(rows);
  const TextSplitConfig split = {.test = 0.2, .validation = 0.2, .seed = 3};
  const GenerationConfig generation;
  std::vector<std::vector<Part>> parts;
  for (const auto* each : {static_cast<const GenerationConfig*>(nullptr), &generation}) {
    TextSource source(config, rejects_, each);
    TextDivision division(config, split, each);
    for (TextBatch batch; source.next(batch);) division.add(batch);
    division.divide(TextDuplicates::once, rejects_);
    auto& found = parts.emplace_back();
    for (const auto& row : division.rows()) found.push_back(row.part);
  }
  EXPECT_EQ(parts[0], parts[1]);
  EXPECT_EQ(std::ranges::count(parts[0], Part::test), 9);
}

TEST_F(GeneratorSplit, EqualPlainTextsAreInOnePartEvenIfRepeated) {
  std::string rows;
  for (int i = 0; i < 90; i++) rows += binary(i % 9) + ",,\n";
  const auto data = write_file(csv(rows), {}, {32}, {.test = 0.3, .validation = 0.3}, TextDuplicates::keep);
  expect_disjoint(data, false);
  EXPECT_EQ(data.train.rows() + data.validation.rows() + data.test.rows(), 90);
}

TEST_F(GeneratorSplit, RowsFollowTheirPromptIntoThePartOfATable) {
  auto config = pairs("good,好,\nbad,好,\n");
  config.sources.push_back({.table = csv("good,坏,\n好,坏,\n", "b.csv").sources[0].table, .part = Part::test});
  config.sources.push_back({.table = csv("good,好坏,\n坏,坏,\n", "c.csv").sources[0].table, .part = Part::train});
  const auto data = write_file(config);
  expect_disjoint(data, true);
  EXPECT_THAT(data.test.sources(), ElementsAre(2, 5, 6, 8));  // "good" is in the first table with a part: test
  EXPECT_EQ(report_.moved, 1);
}

TEST_F(GeneratorSplit, RepeatedRowsAreThoseWithEqualPromptAndCompletion) {
  const auto data = write_file(pairs("good,好,1\nbad,好,\ngood,坏,\ngood,好,2\n"), {});
  EXPECT_THAT(data.train.sources(), ElementsAre(2, 3, 4));
  EXPECT_EQ(report_.repeated, 1);
  // A line break between the texts does not make different pairs equal.
  EXPECT_EQ(write_file(pairs("\"good\n好\",坏,\ngood,\"好\n坏\",\n")).train.rows(), 2);
  EXPECT_EQ(write_file(pairs("good,好,\ngood,好,\n"), {}, {16}, all_for_training, TextDuplicates::keep).train.rows(),
            2);
}

TEST_F(GeneratorSplit, BestOfKeepsTheBestScoredOfEachPrompt) {
  const std::string rows =
      "good,好,1\ngood,坏,3\nbad,好,-1\ngood,好好,2\nbad,坏,-1\ngood,坏坏,2\nbad,坏坏,-1.5\ngood,好坏,x\ngood,坏好,\n";
  auto data = write_file(pairs(rows), {.score = "c", .best_of = 2});
  EXPECT_THAT(data.train.sources(), ElementsAre(3, 4, 5, 6));  // of the rows 5 and 7 with score 2 the first
  EXPECT_EQ(report_.outscored, 3);
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("score is missing", 1), Pair("score is not a number", 1)));
  data = write_file(pairs(rows), {.score = "c", .best_of = 1});
  EXPECT_THAT(data.train.sources(), ElementsAre(3, 4));
  data = write_file(pairs(rows), {.score = "c", .best_of = 100});
  EXPECT_EQ(data.train.rows(), 7);
  // Scores may differ by less than floats do.
  data = write_file(pairs("good,好,0.10000000001\ngood,坏,0.10000000002\n"), {.score = "c", .best_of = 1});
  EXPECT_THAT(data.train.sources(), ElementsAre(3));
}

TEST_F(GeneratorSplit, RepeatedRowsDoNotFillTheBest) {
  const auto data = write_file(pairs("good,好,3\ngood,好,3\ngood,坏,1\n"), {.score = "c", .best_of = 2});
  EXPECT_THAT(data.train.sources(), ElementsAre(2, 4));
}

TEST_F(GeneratorSplit, ContradictingPreferencesAreKeptAndCounted) {
  const auto data =
      write_file(pairs("good,好,坏\nbad,坏,好\ngood,坏,好\ngood,好,坏\ngood,好,坏坏\n"), {.rejected = "{c}"});
  EXPECT_EQ(report_.repeated, 1);
  EXPECT_EQ(report_.opposed, 2);
  EXPECT_EQ(data.train.rows(), 8);
  EXPECT_THAT(data.train.sources(), ElementsAre(2, 2, 3, 3, 4, 4, 6, 6));
}

TEST_F(GeneratorSplit, NothingLeftForTraining) {
  EXPECT_THAT([&] { write_file(pairs("good,好,\ngood,坏,\n"), {}, {16}, {.test = 0.5}); },
              ThrowsMessage<std::invalid_argument>(
                  "nothing is left for training: 2 rows were kept, which belong to 1 prompts (generation.split_by)"));
  expect_nothing_written();
}

TEST_F(GeneratorSplit, ConfigsThatDoNotFit) {
  const auto expect = [&](const TextConfig& config, const GenerationConfig& generation, const std::string& message) {
    EXPECT_THAT(
        [&] {
          generation.check();
          check(config, generation);
        },
        ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  auto labeled = csv("good,x,\n");
  labeled.label = {.column = "b"};
  const auto plain = csv("good,,\n"), prompts = pairs("good,bad,\n");
  expect(labeled, {}, "generation: data.label.kind is single_label, expected none");
  expect(plain, {.chat = ChatChoice::chatml}, "generation.chat is chatml, but there is no data.pair");
  expect(plain, {.system = "s"}, "generation.system is set, but there is no data.pair");
  expect(plain, {.rejected = "{c}"}, "generation.rejected needs data.pair");
  expect(plain, {.score = "c", .best_of = 1}, "generation.best_of is set, but there is no data.pair");
  expect(prompts, {.score = "c"}, "score and best_of are required together");
  expect(prompts, {.best_of = 1}, "score and best_of are required together");
  expect(prompts, {.rejected = "{c"}, "has an unclosed {");
  expect(prompts, {.rejected = "{c}", .score = "c", .best_of = 1}, "best_of is for completions, not for preferences");
  expect(prompts, {.score = "c", .best_of = 1, .split_by = SplitBy::completion}, "best_of needs split_by: prompt");
  expect(prompts, {.chat = ChatChoice::none, .system = "s"}, "system is set, but chat is none");
}

}  // namespace
}  // namespace sartor::text
