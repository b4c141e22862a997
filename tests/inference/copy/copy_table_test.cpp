// The output, results and review file against values computed by hand.
#include "copy/copy_table.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "copy/copy_results.h"
#include "copy/review_file.h"
#include "storage/atomic_file.h"
#include "support/folder_test.h"

namespace sartor::inference {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

Copy copy(int64_t variant, int32_t draw, const std::string& text, std::vector<Verdict> verdicts = {},
          Fate fate = Fate::written) {
  return {variant,
          {.variant = draw,
           .ids = {1, 2, 3},
           .text = text,
           .log_probability = -1.5,
           .sampled_log_probability = -0.25,
           .end = EndReason::length},
          std::move(verdicts),
          fate};
}

class CopyTableTest : public testing::FolderTest {
 protected:
  CopyTableTest() {
    config_.output = path("out.csv");
    config_.id = "customer";
    config_.keep = {"city"};
    config_.decoding.seed = 7;
  }

  static PromptWindow window(int64_t part, int64_t row, const std::string& id, const std::string& prompt) {
    PromptWindow found = {.part = part, .rows = {{.row = row, .text = prompt}}};
    found.ids.push_back(id);
    found.kept.emplace_back().push_back("北京");
    return found;
  }

  // Two parts with the rows 2, 3 and 9.
  std::string written() {
    CopyTable table(config_, "model", [&](const CopyRecord& record) {
      results_.add(record);
      review_.add(record);
    });
    auto second = window(0, 3, "乙", "给***写");
    second.rows[0].masked[privacy::Kind::mobile] = 1;
    table.begin(path("0.parquet"));
    table.append(
        window(0, 2, "甲", "写"),
        {{copy(0, 0, "很好, \"x\"\n"), copy(1, 1, "坏", {Verdict::banned_word}, Fate::replaced), copy(1, 2, "")}});
    table.append(second, {{copy(0, 0, "a", {Verdict::too_short, Verdict::duplicate}),
                           copy(1, 1, "b", {Verdict::too_short}, Fate::dropped)}});
    table.end();
    table.begin(path("1.parquet"));
    table.append(window(1, 9, "丙", "写"), {{copy(0, 0, "c")}});
    table.append({.part = 1, .kept = std::vector<datasets::StringColumn>(1)}, {});
    table.end();
    EXPECT_EQ(table.join({path("0.parquet"), path("1.parquet")}, config_.output, [] {}), 4);
    return read("out.csv");
  }

  GenerateConfig config_;
  CopyResults results_;
  ReviewSample review_ = ReviewSample(2, 1);
};

TEST_F(CopyTableTest, HasARowPerText) {
  const auto hash = config_hash(config_), prompt = short_hash("写"), masked = short_hash("给***写");
  const auto middle = [&](const std::string& prompt_hash) { return "," + prompt_hash + ",model," + hash + ",7,"; };
  EXPECT_EQ(written(),
            "row,id,city,variant,draw,prompt_hash,model_hash,config_hash,seed,text,log_probability,"
            "sampled_log_probability,tokens,end,rejected,masked\n"
            "2,甲,北京,0,0" +
                middle(prompt) +
                "\"很好, \"\"x\"\"\n\",-1.5,-0.25,3,length,\"\",0\n"
                "2,甲,北京,1,2" +
                middle(prompt) +
                "\"\",-1.5,-0.25,3,length,\"\",0\n"
                "3,乙,北京,0,0" +
                middle(masked) +
                "a,-1.5,-0.25,3,length,too_short|duplicate,1\n"
                "9,丙,北京,0,0" +
                middle(prompt) + "c,-1.5,-0.25,3,length,\"\",0\n");
}

TEST_F(CopyTableTest, ColumnsDependOnTheConfig) {
  config_.mask_pii = false;
  config_.output = path("out.jsonl");
  written();
  const auto lines = read("out.jsonl");
  EXPECT_THAT(lines, HasSubstr("{\"row\": 2, \"id\": \"甲\", \"city\": \"北京\", \"variant\": 0, \"draw\": 0, "));
  EXPECT_EQ(lines.find("masked"), lines.npos);
}

TEST_F(CopyTableTest, TheConfigHashCoversWhatTheTextsDependOn) {
  const auto hash = config_hash(config_);
  auto other = config_;
  other.output = "b.csv";
  other.threads = 3;
  other.rows_per_part = 7;
  other.limits.max_sequences = 1;
  other.window = 2;
  other.keep = {};
  other.model = "elsewhere";
  EXPECT_EQ(config_hash(other), hash);
  other.decoding.seed = 8;
  EXPECT_NE(config_hash(other), hash);
  other = config_;
  other.precision = transformer::Precision::int8;
  EXPECT_NE(config_hash(other), hash);
  other = config_;
  other.filters.banned_words = {"x"};
  EXPECT_NE(config_hash(other), hash);
}

TEST_F(CopyTableTest, ColumnsOfTheSameNameAreRefused) {
  config_.keep = {"text"};
  EXPECT_THAT([&] { CopyTable(config_, "", nullptr); },
              ThrowsMessage<std::invalid_argument>("the output would have two columns text: remove it from keep"));
}

TEST_F(CopyTableTest, ResultsCountAllTexts) {
  written();
  const auto json = results_.json();
  EXPECT_EQ(json["rows"], 3);
  EXPECT_EQ(json["texts"], 4);
  EXPECT_EQ(json["passed"], 3);
  EXPECT_EQ(json["replaced"], 1);
  EXPECT_EQ(json["dropped"], 1);
  EXPECT_EQ(json["ends"].dump(), "{\"end_token\":0,\"stop_string\":0,\"length\":4}");
  EXPECT_EQ(json["verdicts"]["banned_word"], 1);
  EXPECT_EQ(json["verdicts"]["too_short"], 2);
  EXPECT_EQ(json["verdicts"]["duplicate"], 1);
  EXPECT_EQ(json["verdicts"]["too_long"], 0);
  EXPECT_EQ(json["masked"].dump(), "{\"prompts\":1,\"mobile\":1,\"id\":0,\"card\":0,\"email\":0}");
  EXPECT_EQ(json["tokens"], 12);
  EXPECT_EQ(json["tokens_per_text"], 3);
  EXPECT_EQ(json["log_probability_per_token"], -0.5);
  EXPECT_EQ(json["distinct_1"], 7.0 / 8);  // 很 好 , " x " a c
  EXPECT_EQ(json["self_bleu"], 0);         // of a text and an empty one
  const auto none = CopyResults().json();
  EXPECT_TRUE(none["tokens_per_text"].is_null());
  EXPECT_TRUE(none["self_bleu"].is_null());
  EXPECT_EQ(none["distinct_2"], 0);
}

TEST(CopyResults, PersonalDataThatTheModelWrote) {
  CopyResults results;
  results.add({.row = 1, .first_of_row = true, .text = "电话13812345678，a@b.com"});
  results.add({.row = 1, .text = "13912345678", .fate = Fate::replaced});
  EXPECT_EQ(results.json()["personal_data_in_texts"].dump(), "{\"mobile\":1,\"id\":0,\"card\":0,\"email\":1}");
}

TEST(CopyResults, DiversityOfTheTexts) {
  CopyResults results;
  for (const auto* text : {"我 喜欢 a red hat", "我 喜欢 a red hat", "b"}) {
    results.add({.row = 1, .first_of_row = text[0] == 'b', .text = text});
  }
  const auto json = results.json();
  EXPECT_NEAR(json["self_bleu"].get<double>(), 100, 1e-9);  // of one row; the other has one text
  EXPECT_NEAR(json["distinct_1"].get<double>(), 7.0 / 13, 1e-12);
}

TEST_F(CopyTableTest, TheReviewHasSomeRowsWithAllVariants) {
  written();
  review_.write(path("review.csv"), true);
  const std::string head = "\xEF\xBB\xBFrow,id,variant,prompt,text,rejected,approved,comment\n";
  const std::vector<std::string> rows = {
      "2,甲,0,写,\"很好, \"\"x\"\"\n\",\"\",\"\",\"\"\n2,甲,1,写,\"\",\"\",\"\",\"\"\n",
      "3,乙,0,给***写,a,too_short|duplicate,\"\",\"\"\n", "9,丙,0,写,c,\"\",\"\",\"\"\n"};
  EXPECT_THAT(read("review.csv"),
              ::testing::AnyOf(head + rows[0] + rows[1], head + rows[0] + rows[2], head + rows[1] + rows[2]));
}

TEST(ReviewSample, DoesNotDependOnTheOrderOfRows) {
  const auto sampled = [](const std::vector<int64_t>& rows) {
    ReviewSample sample(5, 3);
    for (const auto row : rows) sample.add({.row = row, .first_of_row = true, .text = "x"});
    const auto file = std::filesystem::path(::testing::TempDir()) / fmt::format("review-{}.csv", getpid());
    sample.write(file, false);
    auto text = datasets::read_file(file);
    std::filesystem::remove(file);
    return text;
  };
  std::vector<int64_t> rows(1000);
  std::iota(rows.begin(), rows.end(), 2);
  const auto ascending = sampled(rows);
  std::ranges::reverse(rows);
  EXPECT_EQ(sampled(rows), ascending);
  EXPECT_EQ(std::ranges::count(ascending, '\n'), 6);
}

}  // namespace
}  // namespace sartor::inference
