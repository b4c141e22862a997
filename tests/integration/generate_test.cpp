// Generation of texts for tables and single prompts.
#include <nlohmann/json.hpp>
#include <set>

#include "integration/generate_fixture.h"
#include "privacy/masking.h"
#include "storage/sha256.h"

namespace sartor::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

class Generate : public Generating {
 protected:
  // A config with more fields instead of those of the same name.
  std::string config(const std::string& more, const std::string& output = "out.jsonl") const {
    return "task: generate\ndevice: cpu\nthreads: 1\nmodel: FOLDER/run\nsource: {path: FOLDER/customers.csv}\n" + more +
           "output: FOLDER/" + output + "\n";
  }
  std::vector<json> rows_of(const std::string& name) const {
    std::vector<json> rows;
    std::istringstream lines(read(name));
    for (std::string line; std::getline(lines, line);) rows.push_back(json::parse(line));
    return rows;
  }
  std::vector<std::string> texts_of(const std::string& name) const {
    std::vector<std::string> texts;
    for (const auto& row : rows_of(name)) texts.push_back(row["text"]);
    return texts;
  }
  json results(const std::string& name = "out.jsonl") const { return json::parse(read(name + ".results.json")); }
};

TEST_F(Generate, WritesSeveralTextsPerRow) {
  write("customers.csv", "name,likes,city\n客户1,羽绒服,北京\n客户2,shoes,\"a, b\"\n");
  expect_done(infer(config("keep: [city]\ndecoding: {max_new_tokens: 8, do_sample: true, num_return_sequences: 3}\n")));
  const auto rows = rows_of("out.jsonl");
  ASSERT_EQ(rows.size(), 6);
  std::set<std::string> texts;
  for (size_t i = 0; i < rows.size(); i++) {
    const auto& row = rows[i];
    EXPECT_EQ(row["row"], 2 + i / 3);
    EXPECT_EQ(row["variant"], i % 3);
    EXPECT_EQ(row["draw"], i % 3);
    EXPECT_EQ(row["city"], i < 3 ? "北京" : "a, b");
    EXPECT_EQ(row["prompt_hash"], datasets::sha256(i < 3 ? "给客户1写羽绒服：" : "给客户2写shoes：").substr(0, 16));
    EXPECT_EQ(row["seed"], 42);
    EXPECT_LE(row["tokens"], 8);
    EXPECT_LT(row["log_probability"], 0);
    // temperature 1, all tokens
    EXPECT_NEAR(row["sampled_log_probability"].get<double>(), row["log_probability"].get<double>(), 1e-3);
    EXPECT_EQ(row["rejected"], "");
    EXPECT_EQ(row["masked"], 0);
    texts.insert(row["text"].get<std::string>());
  }
  EXPECT_GT(texts.size(), 3);
  const auto found = results();
  EXPECT_EQ(found["rows"], 2);
  EXPECT_EQ(found["texts"], 6);
  EXPECT_EQ(found["rejected_rows"], 0);
  EXPECT_EQ(found["model_hash"], rows[0]["model_hash"]);
  EXPECT_EQ(found["config_hash"], rows[0]["config_hash"]);
}

TEST_F(Generate, EveryTableFormatHasTheSameTexts) {
  write_customers();
  const std::string more = "slots: [{column: likes, type: list}]\ndecoding: {max_new_tokens: 5}\n";
  expect_done(infer(config(more)));
  const auto texts = texts_of("out.jsonl");
  EXPECT_EQ(texts.size(), 57);
  std::set<std::vector<std::string>> read_back;
  for (const std::string name : {"out.jsonl", "out.csv", "out.tsv", "out.parquet"}) {
    if (name != "out.jsonl") expect_done(infer(config(more, name)));
    expect_done(infer("task: generate\ndevice: cpu\nthreads: 1\nmodel: FOLDER/run\nsource: {path: FOLDER/" + name +
                          "}\nprompt: \"{log_probability}{tokens}{variant}\"\nother_input: true\n" +
                          "decoding: {max_new_tokens: 1}\noutput: FOLDER/again.jsonl\n",
                      {"--overwrite"}));
    std::vector<std::string> hashes;
    for (const auto& row : rows_of("again.jsonl")) hashes.push_back(row["prompt_hash"]);
    EXPECT_EQ(hashes.size(), 57) << name;
    read_back.insert(hashes);
  }
  EXPECT_EQ(read_back.size(), 1);
}

TEST_F(Generate, ListsComeFromRecommendations) {
  write("recommended.csv", "user,rank,item,title\nu1,1,7,围巾\nu1,2,8,手套\nu2,1,7,围巾\nu1,3,9,帽子\n");
  write("customers.csv", "customer\nu1\nu2\nu3\n");
  const std::string more =
      "prompt: \"给{customer}推荐{title}\"\nother_input: true\nid: customer\n"
      "lists: [{path: FOLDER/recommended.csv, key: user, column: title}]\n"
      "slots: [{column: title, join: 、, limit: 2}]\ndecoding: {max_new_tokens: 3}\n";
  expect_done(infer(config(more)));
  const auto rows = rows_of("out.jsonl");
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[0]["prompt_hash"], datasets::sha256("给u1推荐围巾、手套").substr(0, 16));
  EXPECT_EQ(rows[1]["prompt_hash"], datasets::sha256("给u2推荐围巾").substr(0, 16));
  EXPECT_THAT(read("out.jsonl.rejects.tsv"), HasSubstr("customers.csv\t4\ttitle is missing\t"));
  write("recommended.csv", "user,title\nu1,围巾\n");
  const auto outcome = infer(config(more), {"--resume"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("recommended.csv has changed since the job began"));
}

TEST_F(Generate, MasksPersonalData) {
  const std::string id = "11010519491231002X", mobile = "13812345678", card = "4111111111111111", mail = "a@b.com";
  write("customers.csv", "name,likes\n证" + id + "," + mobile + "\n" + card + "," + mail + "\n陈,x\n" + mobile +
                             ",\nlong" + mail + "长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长,y\n");
  const std::string more = "decoding: {max_new_tokens: 4}\nreview: {path: FOLDER/review.csv}\n";
  expect_done(infer(config(more)));
  EXPECT_EQ(results()["masked"], json::parse("{\"prompts\":2,\"mobile\":1,\"id\":1,\"card\":1,\"email\":1}"));
  const auto rows = rows_of("out.jsonl");
  ASSERT_EQ(rows.size(), 3);
  EXPECT_EQ(rows[0]["masked"], 2);
  EXPECT_EQ(rows[0]["prompt_hash"], datasets::sha256("给证***写***：").substr(0, 16));
  EXPECT_THAT(read("review.csv"), HasSubstr("给证***写***："));
  for (const auto& name : files()) {  // nothing leaks
    if (name == "customers.csv" || name == "词" || name == "run") continue;
    privacy::MaskCounts found;
    for (const auto& value : {id, mobile, card, mail}) EXPECT_EQ(read(name).find(value), std::string::npos) << name;
  }
  expect_done(infer(config(more + "mask_pii: false\n"), {"--overwrite"}));
  EXPECT_EQ(results()["masked"]["prompts"], 0);
  EXPECT_EQ(rows_of("out.jsonl")[0]["prompt_hash"], datasets::sha256("给证" + id + "写" + mobile + "：").substr(0, 16));
}

TEST_F(Generate, InvalidRowsAreRejectedWithBothNumbers) {
  write("customers.csv",
        "name,likes\n客户,羽绒服\n,x\nbad\n客\xe5\xa5,x\n" + std::string(200, 'z') + ",x\n<|endoftext|>,x\n");
  expect_done(infer(config("decoding: {max_new_tokens: 10}\n")));
  EXPECT_EQ(rows_of("out.jsonl").size(), 1);
  EXPECT_EQ(results()["rejected_rows"], 5);
  EXPECT_THAT(read("out.jsonl.rejects.tsv"), AllOf(HasSubstr("\t3\tname is missing\t"), HasSubstr("\t4\t"),
                                                   HasSubstr("\t5\t"), HasSubstr("\t6\tprompt is too long\t"),
                                                   HasSubstr(" tokens, but max_new_tokens 10 leaves 54 of 64: "),
                                                   HasSubstr("\t7\tname contains a special token\t")));
  expect_done(infer(config("decoding: {max_new_tokens: 10}\nlong_prompt: cut_left\n"), {"--overwrite"}));
  EXPECT_EQ(rows_of("out.jsonl").size(), 2);
}

TEST_F(Generate, FiltersReplaceTexts) {
  write_customers();
  const std::string more =
      "slots: [{column: likes, type: list}]\n"
      "decoding: {max_new_tokens: 6, do_sample: true, num_return_sequences: 2}\n"
      "filters: {max_characters: 3, refill: {attempts: 3";
  expect_done(infer(config(more + "}}\n")));
  const auto written = rows_of("out.jsonl");
  EXPECT_EQ(written.size(), 114);
  int64_t passed = 0, refilled = 0;
  for (const auto& row : written) {
    passed += row["rejected"] == "";
    refilled += row["draw"] > 1;
  }
  EXPECT_EQ(results()["passed"], passed);
  EXPECT_GT(refilled, 10);
  EXPECT_LT(passed, 114);
  expect_done(infer(config(more + ", rejected: drop}}\n"), {"--overwrite"}));
  EXPECT_EQ(static_cast<int64_t>(rows_of("out.jsonl").size()), passed);
  EXPECT_EQ(results()["dropped"], 114 - passed);
}

class SinglePrompt : public Generate {
 protected:
  static constexpr const char* base = "task: generate\ndevice: cpu\nthreads: 1\nmodel: FOLDER/run\n";
};

TEST_F(SinglePrompt, GoesToStandardOutput) {
  write("customers.csv", "name,likes\n客户1,羽绒服\n");
  expect_done(infer(config("decoding: {max_new_tokens: 12}\n")));
  const auto text = texts_of("out.jsonl")[0];
  const auto before = files();
  const auto outcome =
      infer(std::string(base) + "decoding: {max_new_tokens: 12}\n", {"--set", "prompt=给客户1写羽绒服："});
  expect_done(outcome);
  EXPECT_EQ(outcome.out, text + "\n");
}

TEST_F(SinglePrompt, SeveralVariantsAndFilters) {
  const auto outcome = infer(std::string(base) +
                             "prompt: \"{{好}} \\\\\"\ndecoding: {max_new_tokens: 4, do_sample: true, "
                             "num_return_sequences: 3}\nfilters: {min_characters: 100}\n");
  expect_done(outcome);
  EXPECT_GE(std::ranges::count(outcome.out, '\n'), 3);
  EXPECT_THAT(outcome.err, HasSubstr("variant 2 is rejected: too_short"));
}

TEST_F(SinglePrompt, AnEmptyPromptBeginsWithTheEndOfTextToken) {
  expect_done(infer(std::string(base) + "prompt: \"\"\ndecoding: {max_new_tokens: 4}\n"));
}

}  // namespace
}  // namespace sartor::testing
