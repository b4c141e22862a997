// sartor-infer on generated texts and references.
#include <cmath>
#include <nlohmann/json.hpp>

#include "integration/refusals.h"

namespace sartor::testing {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

class EvaluateTexts : public Refusals {
 protected:
  Json evaluated(const std::string& more, const std::vector<std::string>& words = {}) {
    const auto outcome = infer(std::string(head) + more, words);
    expect_done(outcome);
    log_ = outcome.err;
    return outcome.status == 0 ? Json::parse(read("out.json")) : Json();
  }
  void write_pairs() const {
    write("pairs.csv",
          "id,variant,text,reference,other\n"
          "a,v0,这款羽绒服,这件羽绒衣,\n"
          "用户2,v1,The cat sat on the mat.,The cat sat on a mat.,A cat sat.\n"
          "c,v0,,好的羽绒服,\n"
          "d,v1,no reference,　,\n"
          "e,v1,\"broken \xe5\xa5\",broken,\n"
          "f,v0,羽绒服,羽绒服,\n");
  }

  static constexpr const char* head = "task: evaluate_texts\ndevice: cpu\noutput: FOLDER/out.json\n";
  static constexpr const char* columns = "source: {path: FOLDER/pairs.csv}\nreferences: [reference, other]\n";
  std::string log_;
};

double value(const Json& figures, const char* name) { return figures.at(name).at("value"); }

TEST_F(EvaluateTexts, OfAColumnAgainstSeveral) {
  write_pairs();
  const auto json = evaluated(std::string(columns) +
                              "bleu: {tokenizer: zh}\nrouge: {tokenizer: zh}\nchrf: {word_order: 2}\n"
                              "bootstrap: {draws: 100}\nid: id\ngroup: variant\nrows: FOLDER/rows.csv\n");
  EXPECT_EQ(json["texts"], 4);
  EXPECT_EQ(json["rejected"], 2);
  EXPECT_THAT(read("out.json.rejects.tsv"), AllOf(HasSubstr("\t5\treference is missing\t"), HasSubstr("\t6\t")));
  EXPECT_EQ(json["signatures"]["bleu"], "nrefs:var|case:mixed|eff:no|tok:zh|smooth:exp|version:2.6.0");
  EXPECT_EQ(json["signatures"]["chrF2++"], "nrefs:var|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0");
  EXPECT_EQ(json["signatures"]["rouge"], "tok:zh|stemmer:no|version:0.1.2");
  EXPECT_EQ(json["all"]["bleu"]["hypothesis_length"], 15);
  EXPECT_EQ(json["all"]["bleu"]["reference_length"], 20);
  EXPECT_EQ(json["groups"].size(), 2);
  EXPECT_EQ(json["groups"]["v0"]["texts"], 3);
  EXPECT_NEAR(value(json["groups"]["v0"], "rouge1"), (0.6 + 0 + 1) / 3, 1e-12);
  for (const char* name : {"bleu", "chrF2++", "rouge1", "rouge2", "rougeL", "rougeLsum"}) {
    const auto& figure = json["all"][name];
    EXPECT_LE(figure["low"], figure["value"]) << name;
    EXPECT_GE(figure["high"], figure["value"]) << name;
    EXPECT_LT(figure["low"], figure["high"]) << name;
  }
  const auto rows = read("rows.csv");
  EXPECT_THAT(rows, StartsWith("row,id,group,bleu,chrF2++,rouge1,rouge2,rougeL,rougeLsum\n2,a,v0,23.6435"));
  EXPECT_THAT(rows, HasSubstr("\n4,c,v0,0,0,0,0,0,0\n"));
  EXPECT_THAT(rows, AllOf(HasSubstr("\n7,f,v0,100"), EndsWith(",100,1,1,1,1\n")));
}

TEST_F(EvaluateTexts, OfTwoTablesJoinedById) {
  write("texts.jsonl",
        "{\"row\": \"1\", \"variant\": 0, \"text\": \"这款羽绒服\"}\n{\"row\": \"1\", \"variant\": 1, \"text\": "
        "\"羽绒服\"}\n"
        "{\"row\": \"用户\", \"variant\": 0, \"text\": \"好\"}\n{\"row\": \"9\", \"variant\": 0, \"text\": \"x\"}\n");
  write("references.csv", "id,good,better\n1,这件羽绒衣,\n1,羽绒服,\n用户,,好\n3,y,z\n");
  const auto json = evaluated(
      "source: {path: FOLDER/texts.jsonl}\nid: row\n"
      "reference_table: {path: FOLDER/references.csv, columns: [good, better]}\n"
      "metrics: [rouge, self_bleu]\nrouge: {tokenizer: char, types: [rouge1]}\nbootstrap: {draws: 0}\n");
  EXPECT_EQ(json["texts"], 3);
  EXPECT_EQ(json["rejected"], 1);
  EXPECT_EQ(json["unused_references"], 1);
  EXPECT_NEAR(value(json["all"], "rouge1"), (0.75 + 1 + 1) / 3, 1e-12);
  EXPECT_FALSE(json["all"]["rouge1"].contains("low"));
  // 羽绒服 is a part of its neighbour; of 这款羽绒服 3/5, 2/4, 1/3 and, halved, 1/4 are found in 羽绒服
  const double longer = 100 * std::pow(0.6 * 0.5 / 3 / 4, 0.25), shorter = 100 * std::exp(1 - 5.0 / 3);
  EXPECT_NEAR(value(json["all"], "self_bleu"), (longer + shorter) / 2, 1e-9);
}

TEST_F(EvaluateTexts, OfDiversityWithoutReferences) {
  write("texts.csv", "text\na b a b\na b\n好的\n");
  const auto json = evaluated("source: {path: FOLDER/texts.csv}\nmetrics: [distinct]\ndiversity: {max_n: 2}\n");
  EXPECT_NEAR(value(json["all"], "distinct1"), 4.0 / 8, 1e-15);
  EXPECT_NEAR(value(json["all"], "distinct2"), 3.0 / 5, 1e-15);
  EXPECT_EQ(json["signatures"], (Json{{"diversity", "tok:zh"}}));
}

TEST_F(EvaluateTexts, GivesTheSameBytesOnAnyNumberOfThreads) {
  std::string rows = "id,text,reference\n";
  for (int i = 0; i < 300; i++) {
    const auto n = std::to_string(i);
    rows += n + ",这款羽绒服 the cat " + n + ",这件羽绒衣 a cat " + std::to_string(i % 7) + "\n";
  }
  write("pairs.csv", rows);
  const auto run = [&](const char* threads) {
    evaluated("source: {path: FOLDER/pairs.csv}\nreferences: [reference]\nrows: FOLDER/rows.csv\n",
              {"--set", threads, "--overwrite"});
    return read("out.json") + read("rows.csv");
  };
  EXPECT_EQ(run("threads=1"), run("threads=3"));
}

TEST_F(EvaluateTexts, WarnsOfTokenizersThatDoNotDivideChinese) {
  write("pairs.csv", "text,reference\n羽绒服很好,羽绒服好\n");
  const std::string source = "source: {path: FOLDER/pairs.csv}\nreferences: [reference]\n";
  evaluated(source);
  EXPECT_THAT(log_, HasSubstr("1 of 1 texts have Chinese characters, which bleu.tokenizer: 13a does not divide"));
  EXPECT_THAT(log_, HasSubstr("which rouge.tokenizer: rouge ignores"));
  evaluated(source + "bleu: {tokenizer: zh}\nrouge: {tokenizer: char}\n", {"--overwrite"});
  EXPECT_THAT(log_, ::testing::Not(HasSubstr("Chinese characters")));
}

TEST_F(EvaluateTexts, BrokenConfigsAreRefused) {
  write_pairs();
  const auto refuses = [&](const std::string& more, const std::string& said) {
    refused("sartor-infer", std::string(head) + more, said);
  };
  const std::string pairs = columns;
  refuses("references: [reference]\n", "source");
  refuses("source: {path: FOLDER/none.csv}\nreferences: [reference]\n", "none.csv");
  refuses("source: {path: FOLDER/pairs.csv}\n", "set references or reference_table");
  refuses("source: {path: FOLDER/pairs.csv}\nreferences: [nothing]\n", "pairs.csv.*nothing");
  refuses(pairs + "hypothesis: nothing\n", "pairs.csv.*nothing");
  refuses(pairs + "group: nothing\n", "pairs.csv.*nothing");
  refuses(pairs + "metrics: []\n", "metrics is empty");
  refuses(pairs + "metrics: [bleu, bleu]\n", "metrics has bleu twice");
  refuses(pairs + "metrics: [distinct]\n", "references are for bleu, chrf and rouge");
  refuses(pairs + "metrics: [meteor]\n", "meteor");
  refuses(pairs + "bleu: {tokenizer: rouge}\n", "bleu.tokenizer");
  refuses(pairs + "bleu: {smoothing_value: 0.5}\n", "smoothing_value is for smoothing floor and add-k");
  refuses(pairs + "bleu: {max_order: 0}\n", "bleu.max_order");
  refuses(pairs + "chrf: {char_order: 0}\n", "chrf.char_order");
  refuses(pairs + "rouge: {types: []}\n", "types is empty");
  refuses(pairs + "rouge: {tokenizer: zh, stemmer: true}\n", "stemmer requires tokenizer: rouge");
  refuses(pairs + "bootstrap: {level: 1}\n", "bootstrap.level");
  refuses(pairs + "reference_table: {path: FOLDER/pairs.csv}\nid: id\n", "exclude each other");
  refuses("source: {path: FOLDER/pairs.csv}\nreference_table: {path: FOLDER/pairs.csv}\n", "requires id");
  refuses(pairs + "rows: FOLDER/rows.txt\n", "rows.txt");
  refuses(pairs + "rows: FOLDER/pairs.csv\n", "pairs.csv");
}

TEST_F(EvaluateTexts, WithoutAUsableRowIsRefused) {
  write("pairs.csv", "text,reference\nx,\n");
  const auto outcome = infer(std::string(head) + "source: {path: FOLDER/pairs.csv}\nreferences: [reference]\n");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no row could be used, 1 were rejected"));
  EXPECT_THAT(files(), ::testing::Not(::testing::Contains(path("out.json"))));
}

}  // namespace
}  // namespace sartor::testing
