// sartor-infer on texts: in order, for any windows, batches, threads and ranks.
#include "integration/scoring_fixture.h"
#include "support/paths.h"
#include "support/ranks.h"

namespace sartor::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(Scoring, GivesEachRowOnceInOrder) {
  write_texts();
  const Outcome outcome = infer(classify_config);
  expect_done(outcome);
  EXPECT_THAT(outcome.err, ContainsRegex("out.csv: 81 rows; 16 rejected; 81 scored now"));
  EXPECT_THAT(outputs(), ElementsAre("out.csv", "out.csv.job.json", "out.csv.rejects.tsv"));
  std::istringstream lines(read("out.csv"));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "row,id,label,probability,probability_负面,probability_正面");
  std::vector<int64_t> rows;
  while (std::getline(lines, line)) {
    rows.push_back(std::stoll(line));
    EXPECT_THAT(line, ContainsRegex("^" + std::to_string(rows.back()) + ",编号" + std::to_string(rows.back() - 2) +
                                    ",(负面|正面),0[.]"));
  }
  std::vector<int64_t> expected;
  for (int64_t row = 0; row < 97; row++) {
    if (row % 10 != 3 && row % 20 != 7 && row != 50) expected.push_back(row + 2);
  }
  EXPECT_EQ(rows, expected);
  const auto rejects = read("out.csv.rejects.tsv");
  EXPECT_EQ(std::ranges::count(rejects, '\n'), 1 + 16);
  EXPECT_THAT(rejects, AllOf(HasSubstr("\t5\ttext is missing\t"), HasSubstr("\t9\ttext is not UTF-8\t"),
                             HasSubstr("\t52\tnot 2 columns\tbroken")));
}

TEST_F(Scoring, IsTheSameForAnyWindowBatchThreadsAndRanks) {
  write_texts();
  expect_done(infer(classify_config));
  const auto expected = taken();
  for (const char* change : {"window=1", "window=1000", "batch_tokens=1", "batch_tokens=100000", "rows_per_part=1",
                             "rows_per_part=97", "rows_per_part=1000", "precision=fp32"}) {
    expect_done(infer(classify_config, {"--set", change}));
    EXPECT_EQ(taken(), expected) << change;
  }
  for (const int ranks : {2, 3, 7}) {  // also more ranks than parts
    for (const auto& rank : on_ranks(ranks, command("sartor-infer", classify_config))) expect_done(rank);
    EXPECT_EQ(taken(), expected) << ranks << " ranks";
  }
}

TEST_F(Scoring, EveryTableGoesInAndOut) {
  const auto without_rows = [&](const char* name) {
    std::istringstream lines(read(name));
    std::string all;
    for (std::string line; std::getline(lines, line);) all += line.substr(line.find(',')) + "\n";
    return all;
  };
  write_texts();
  expect_done(infer(classify_config));
  expect_done(infer(classify_config, {"--set", "output=" + path("out.tsv")}));
  expect_done(infer(classify_config, {"--set", "output=" + path("out.jsonl")}));
  expect_done(infer(classify_config, {"--set", "output=" + path("out.parquet")}));
  score_again("out.csv", "again1.csv");
  score_again("out.tsv", "again2.csv");
  score_again("out.jsonl", "again3.csv");
  score_again("out.parquet", "again4.csv");
  EXPECT_EQ(read("again2.csv"), read("again1.csv"));
  EXPECT_EQ(without_rows("again3.csv"), without_rows("again1.csv"));  // JSON Lines have no header record
  expect_done(infer(embed_config));
  expect_done(run_command({sartor::testing::venv_program("python"),
                           sartor::testing::source_path("tests/integration/read_scores.py"), folder_.string()}));
}

TEST_F(Scoring, EveryKindOfModelHasItsColumns) {
  write("texts.csv", "text,more\ngood,坏\n很好,very\n");
  const auto header = [&](std::vector<std::string> labels, transformer::Problem problem, const std::string& more = "") {
    write_bert_folder(path("model"), small_bert(std::move(labels), problem));
    expect_done(
        infer("task: classify\ndevice: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/texts.csv}\n"
              "text: '{text} {more}'\npair: '{more}'\noutput: FOLDER/out.csv\n" +
              more));
    const auto table = taken().first;
    EXPECT_EQ(std::ranges::count(table, '\n'), 3);
    return table.substr(0, table.find('\n'));
  };
  using enum transformer::Problem;
  EXPECT_EQ(header({"a", "b", "c"}, single_label), "row,label,probability");
  EXPECT_EQ(header({"a", "b"}, multi_label, "probabilities: true\n"),
            "row,label,probability,probability_a,probability_b");
  EXPECT_EQ(header({"LABEL_0"}, regression), "row,value");
}

TEST_F(Scoring, EveryFamilyIsRead) {
  write("texts.csv", "id,text,more\n一,good,坏\n二,很好,very\n");
  for (const char* family : {"bert", "distilbert", "electra"}) {
    auto model = small_bert();
    model.model_type = family;
    if (model.family().defaults.embedding_size) model.embedding_size = 16;
    write_bert_folder(path("model"), model);
    for (const char* precision : {"fp32", "int8"}) {
      const std::vector<std::string> more = {"--overwrite", "--set", std::string("precision=") + precision};
      expect_done(infer(std::string(classify_config) + "pair: '{more}'\n", more));
      EXPECT_EQ(std::ranges::count(read("out.csv"), '\n'), 3) << family;
      expect_done(infer(embed_config, more));
    }
  }
}

TEST_F(Scoring, TakesTheModelsTemperature) {
  write("texts.csv", "text\ngood 很好\n");
  const auto probability = [&](const std::string& more = "") {
    expect_done(
        infer("task: classify\ndevice: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/texts.csv}\n"
              "output: FOLDER/out.csv\n" +
              more));
    const auto table = taken().first;
    return std::stod(table.substr(table.rfind(',') + 1));
  };
  const double plain = probability();
  write("model/calibration.json", "{\"temperature\": 2}");
  const double calibrated = probability();
  EXPECT_NEAR(std::log(plain / (1 - plain)), 2 * std::log(calibrated / (1 - calibrated)), 1e-4);
  EXPECT_EQ(probability("temperature: 1\n"), plain);
}

TEST_F(Scoring, AnEmptyTableGivesAnEmptyOne) {
  write("texts.csv", "id,text\n");
  expect_done(infer(classify_config));
  EXPECT_EQ(read("out.csv"), "row,id,label,probability,probability_负面,probability_正面\n");
  expect_done(infer(embed_config));
  write("texts.csv", "id,text\n1,\n");
  expect_done(infer(classify_config, {"--overwrite"}));
  EXPECT_EQ(read("out.csv"), "row,id,label,probability,probability_负面,probability_正面\n");
}

TEST_F(Scoring, EmbeddingsFindSimilarTexts) {
  write("texts.csv", "id,text\n一,good very\n二,坏 坏\n三,very good\n四,good very\n");
  expect_done(infer(embed_config));
  expect_done(infer("task: similar\ndevice: cpu\nmodel: FOLDER/out.h5\nk: 1\noutput: FOLDER/near.csv\n"));
  const auto near = read("near.csv");
  EXPECT_THAT(near, AllOf(HasSubstr("一,1,四,"), HasSubstr("四,1,一,")));
  write("queries.csv", "id\n四\n");
  write("titles.csv", "id,title\n一,第一\n");
  expect_done(
      infer("task: similar\ndevice: cpu\nmodel: FOLDER/out.h5\nk: 1\noutput: FOLDER/near.jsonl\n"
            "queries: {path: FOLDER/queries.csv, column: id}\n"
            "items: {path: FOLDER/titles.csv, id: id, columns: [title]}\n"));
  EXPECT_THAT(read("near.jsonl"), AllOf(HasSubstr("\"neighbour\": \"一\""), HasSubstr("第一")));
  const auto refused = [&](const std::string& more, const std::string& said) {
    const Outcome outcome = infer("task: similar\ndevice: cpu\nmodel: FOLDER/out.h5\noutput: FOLDER/far.csv\n" + more);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(said));
  };
  refused("of: users\nk: 1\n", "of is users, but");
  const Outcome fewer = infer("task: similar\ndevice: cpu\nmodel: FOLDER/out.h5\nk: 4\noutput: FOLDER/fewer.csv\n");
  expect_done(fewer);
  EXPECT_THAT(fewer.err, HasSubstr("k is 4, but there are only 3 others"));
  write("texts.csv", "id,text\n一,good\n一,bad\n");
  expect_done(infer(embed_config, {"--overwrite"}));
  refused("k: 1\n", "the id 一 occurs twice");
}

TEST_F(Scoring, NeighboursKeepToWhatMayBeFound) {
  write("texts.csv", "id,text\n一,good very\n二,坏 坏\n三,very good\n四,good very\n");
  expect_done(infer(embed_config));
  const std::string config = "task: similar\ndevice: cpu\nmodel: FOLDER/out.h5\nk: 2\noutput: FOLDER/near.csv\n";
  write("allow.csv", "id\n二\n三\n四\n未知\n");
  write("deny.csv", "id\n四\n");
  const std::string allow = "allow: {path: FOLDER/allow.csv, column: id}\n";
  const Outcome found = infer(config + allow + "deny: {path: FOLDER/deny.csv, column: id}\n");
  expect_done(found);
  EXPECT_THAT(found.err, HasSubstr("1 ids of allow and deny are not in the model"));
  EXPECT_THAT(read("near.csv"), AllOf(HasSubstr("一,1,三,"), HasSubstr("二,1,三,"), HasSubstr("三,1,二,"),
                                      HasSubstr("四,1,三,"), Not(HasSubstr(",四,")), Not(HasSubstr(",一,"))));
  EXPECT_THAT(read("near.csv"), Not(HasSubstr("三,2,")));  // allows two texts, one of them 三
  const Outcome fewer = infer(config + allow, {"--overwrite", "--set", "k=4"});
  expect_done(fewer);
  EXPECT_THAT(fewer.err, HasSubstr("k is 4, but there are only 3 others"));
  const Outcome none =
      infer(config + "allow: {path: FOLDER/deny.csv, column: id}\ndeny: {path: FOLDER/deny.csv, column: id}\n",
            {"--overwrite"});
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("allow and deny leave no texts to find"));
}

TEST_F(Scoring, NeighboursByEachSimilarityAndPrecision) {
  write("texts.csv", "id,text\n一,good very\n二,坏 坏\n三,very good\n四,good very\n");
  expect_done(infer(embed_config));
  const std::string config = "task: similar\ndevice: cpu\nmodel: FOLDER/out.h5\nk: 1\noutput: FOLDER/near.csv\n";
  for (const std::string similarity : {"cosine", "centred_cosine"}) {
    for (const std::string precision : {"fp32", "tf32", "fp16", "bf16"}) {
      expect_done(infer(config + "similarity: " + similarity + "\nprecision: " + precision + "\n", {"--overwrite"}));
      EXPECT_THAT(read("near.csv"), AllOf(StartsWith("id,rank,neighbour," + similarity + "\n"), HasSubstr("一,1,四,"),
                                          HasSubstr("四,1,一,")));
    }
  }
  const auto refused = [&](const std::string& more, const std::string& said) {
    const Outcome outcome = infer(config + more, {"--overwrite"});
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(said));
  };
  refused("similarity: dot\n", "similarity: found dot, expected cosine or centred_cosine");
  refused("precision: int8\n", "precision: found int8, expected fp32, tf32, fp16 or bf16");
}

TEST_F(Scoring, EmbeddingsAreTheSameOnAnyRanks) {
  write_texts();
  expect_done(infer(embed_config));
  const auto expected = read("out.h5");
  for (const auto& rank : on_ranks(3, command("sartor-infer", embed_config, {"--overwrite"}))) expect_done(rank);
  EXPECT_TRUE(read("out.h5") == expected);
  expect_done(infer(embed_config, {"--overwrite", "--set", "threads=2", "--set", "batch_tokens=30"}));
  EXPECT_TRUE(read("out.h5") == expected);
}

}  // namespace
}  // namespace sartor::testing
