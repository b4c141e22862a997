// sartor-infer on texts: outputs do not depend on window and batch sizes, threads, ranks, stops, kills and resumes.
#include <fcntl.h>
#include <sys/file.h>

#include "integration/fixture.h"
#include "support/bert_folders.h"
#include "support/paths.h"
#include "support/ranks.h"

namespace sartor::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class Scoring : public Programs {
 protected:
  Scoring() { write_bert_folder(path("model"), small_bert()); }

  // Writes 97 records: Chinese, English, mixed, emoji, empty, long and invalid ones.
  void write_texts() const {
    static constexpr const char* words[] = {"good", "bad", "很好", "不", "坏的", "😀", "very", "abc", "!", "7"};
    std::string lines = "id,text\n";
    for (uint64_t row = 0; row < 97; row++) {
      std::string text;
      for (uint64_t word = 0; word < 1 + random_bits(1, row) % 30; word++) {
        text += words[random_bits(2, row * 100 + word) % 10];
        if (random_bits(3, row * 100 + word) % 3 > 0) text += " ";
      }
      if (row % 10 == 3) text = " ";
      if (row % 20 == 7) text += "\xe5\xa5";  // truncated character
      lines += row == 50 ? "broken\n" : "编号" + std::to_string(row) + ",\"" + text + "\"\n";
    }
    write("texts.csv", lines);
  }

  static constexpr const char* classify_config =
      "task: classify\n"
      "device: cpu\n"
      "threads: 1\n"
      "model: FOLDER/model\n"
      "source: {path: FOLDER/texts.csv}\n"
      "keep: [id]\n"
      "probabilities: true\n"
      "window: 7\n"
      "rows_per_part: 20\n"
      "batch_tokens: 50\n"
      "output: FOLDER/out.csv\n";
  // Uses another source, of any format.
  void score_again(const std::string& source, const std::string& output) const {
    expect_done(infer("task: classify\ndevice: cpu\nthreads: 1\nmodel: FOLDER/model\nsource: {path: FOLDER/" + source +
                      "}\ntext: '{label}{probability}'\nkeep: [id]\noutput: FOLDER/" + output + "\n"));
  }

  static constexpr const char* embed_config =
      "task: embed\n"
      "device: cpu\n"
      "model: FOLDER/model\n"
      "source: {path: FOLDER/texts.csv}\n"
      "id: id\n"
      "window: 7\n"
      "rows_per_part: 20\n"
      "output: FOLDER/out.h5\n";

  // Reads and removes out.csv and its rejects.
  std::pair<std::string, std::string> taken() const {
    std::pair found = {read("out.csv"), read("out.csv.rejects.tsv")};
    EXPECT_FALSE(found.first.empty());
    for (const auto& name : files()) {
      if (name.find("out.csv") != name.npos) std::filesystem::remove_all(path(name));
    }
    return found;
  }
  std::vector<std::string> outputs() const {
    std::vector<std::string> names;
    for (const auto& name : files()) {
      if (name.find("out.") != name.npos) names.push_back(name);
    }
    return names;
  }
};

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

class ScoringInput : public Scoring {
 protected:
  ScoringInput() {
    write("texts.csv", "title,body\n很好,good good good good\nbad,坏 不 very bad\n");
    write("model/input.json", R"({"text": "{title}: {body}", "pair": null, "max_length": 6})");
  }
  Outcome classify(const std::string& more) const {
    return infer(
        "task: classify\ndevice: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/texts.csv}\noutput: FOLDER/out.csv\n" +
        more);
  }
  std::string scores(const std::string& more) const {
    const Outcome outcome = classify(more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return taken().first;
  }
};

TEST_F(ScoringInput, IsThatOfTraining) {
  const auto trained = scores("");
  EXPECT_EQ(scores("text: '{title}: {body}'\nmax_length: 6\npair: ''\n"), trained);
  const auto longer = scores("max_length: 9\nother_input: true\n"),
             other = scores("text: '{body}'\nother_input: true\n");
  std::filesystem::remove(path("model/input.json"));
  EXPECT_EQ(scores("text: '{title}: {body}'\nmax_length: 6\n"), trained);
  EXPECT_EQ(scores("text: '{title}: {body}'\nmax_length: 9\n"), longer);
  EXPECT_EQ(scores("text: '{body}'\nmax_length: 6\n"), other);
  EXPECT_NE(trained, longer);
  EXPECT_NE(trained, other);
}

TEST_F(ScoringInput, OfPairsToo) {
  write("model/input.json", R"({"text": "{title}", "pair": "{body}", "max_length": 12})");
  const auto pairs = scores("");
  const auto single = scores("pair: ''\nother_input: true\n");
  std::filesystem::remove(path("model/input.json"));
  EXPECT_EQ(scores("text: '{title}'\npair: '{body}'\nmax_length: 12\n"), pairs);
  EXPECT_EQ(scores("text: '{title}'\nmax_length: 12\n"), single);
  EXPECT_NE(pairs, single);
}

TEST_F(ScoringInput, CutRowsAreCounted) {
  write("texts.csv", "title,body\n很好,!\nbad,坏 不 very bad\ngood,good good good\n好,\n");
  EXPECT_THAT(classify("").err, HasSubstr("2 of the 4 rows scored now were cut at max_length 6"));
  taken();
  EXPECT_THAT(classify("max_length: 40\nother_input: true\n").err,
              AllOf(HasSubstr("4 rows; 0 rejected"), Not(HasSubstr("cut at"))));
  const std::string embed =
      "task: embed\ndevice: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/texts.csv}\noutput: FOLDER/out.h5\n"
      "rows_per_part: 1\n";
  EXPECT_THAT(infer(embed).err, HasSubstr("2 of the 4 rows scored now were cut at max_length 6"));
  for (const auto& rank : on_ranks(2, command("sartor-infer", embed, {"--overwrite"}))) {
    expect_done(rank);
    if (!rank.err.empty()) {
      EXPECT_THAT(rank.err, HasSubstr("2 of the 4 rows scored now were cut at max_length 6"));
    }
  }
}

TEST_F(ScoringInput, AnotherOneIsRefused) {
  const auto refused = [&](const std::string& more, const std::string& said) {
    const Outcome outcome = classify(more);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(said));
    EXPECT_TRUE(outputs().empty());
  };
  refused("text: '{body}'\n",
          "text is {body}, but " + path("model") + " was trained with {title}: {body}: leave it out");
  refused("max_length: 512\n", "max_length is 512, but " + path("model") + " was trained with 6");
  refused("pair: '{body}'\n", "pair is {body}, but");
  write("model/input.json", R"({"text": "{title", "max_length": 6})");
  refused("", "is not closed");
  write("model/input.json", R"({"text": 7})");
  refused("", "input.json: text: found an integer");
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
  EXPECT_THAT(fewer.err, HasSubstr("k is 4, but there are 3 others"));
  write("texts.csv", "id,text\n一,good\n一,bad\n");
  expect_done(infer(embed_config, {"--overwrite"}));
  refused("k: 1\n", "the id 一 stands there twice");
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

class ScoringStopped : public Scoring {
 protected:
  ScoringStopped() {
    write_texts();
    expect_done(infer(classify_config));
    expected_ = taken();
  }
  // Restarts a killed job as a user would: resumes it if it exists, otherwise starts it.
  void expect_same_after_restart(const std::string& when, int ranks = 1) const {
    SCOPED_TRACE(when);
    const bool begun = std::filesystem::exists(path("out.csv.parts")) || std::filesystem::exists(path("out.csv"));
    const auto words = command("sartor-infer", classify_config,
                               begun ? std::vector<std::string>{"--resume"} : std::vector<std::string>());
    for (const auto& rank : on_ranks(ranks, words)) ASSERT_EQ(rank.status, 0) << rank.err;
    EXPECT_THAT(outputs(), ElementsAre("out.csv", "out.csv.job.json", "out.csv.rejects.tsv"));
    EXPECT_EQ(taken(), expected_);
  }
  // Kills at every `stride`th call; job_parts_test.cpp covers each call.
  void kill(Fault fault, int64_t stride) const {
    const auto words = command("sartor-infer", classify_config);
    const int64_t calls = count_calls(words, folder_);
    taken();
    ASSERT_GT(calls, 100);
    for (int64_t call = stride; call <= calls && !HasFatalFailure(); call += stride) {
      const Outcome outcome = run_with_fault(words, folder_, call, fault);
      ASSERT_EQ(outcome.status, 137) << outcome.err;
      expect_same_after_restart("call " + std::to_string(call));
    }
  }

  std::pair<std::string, std::string> expected_;
};

TEST_F(ScoringStopped, KilledBeforeCalls) { kill(Fault::kill_before, 9); }

TEST_F(ScoringStopped, KilledAfterCalls) { kill(Fault::kill_after, 10); }

TEST_F(ScoringStopped, AFullDiskLeavesWhatWasDone) {
  const auto words = command("sartor-infer", classify_config);
  const int64_t calls = count_calls(words, folder_);
  taken();
  for (int64_t call = 1; call <= calls; call += 19) {
    const Outcome outcome = run_with_fault(words, folder_, call, Fault::disk_full);
    if (outcome.status == 0) {  // only removing files was left
      EXPECT_EQ(taken(), expected_);
      continue;
    }
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("No space left on device"));
    expect_same_after_restart("full at call " + std::to_string(call));
    if (HasFatalFailure()) return;
  }
}

TEST_F(ScoringStopped, SignalsStopItInOrder) {
  const auto words = command("sartor-infer", classify_config);
  const int64_t calls = count_calls(words, folder_);
  taken();
  int stopped = 0;
  for (int64_t call = 1; call <= calls && !HasFatalFailure(); call += 13) {
    const bool terminate = call % 2 == 0;
    const Outcome outcome = run_with_fault(words, folder_, call, terminate ? Fault::terminate : Fault::interrupt);
    if (outcome.status == 0) {  // the job was already done
      EXPECT_EQ(taken(), expected_);
      continue;
    }
    stopped++;
    EXPECT_EQ(outcome.status, terminate ? 143 : 130) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(terminate ? "stopped by SIGTERM: --resume continues" : "stopped by SIGINT"));
    for (const auto& name : files()) EXPECT_EQ(name.find("partial"), name.npos) << name;
    expect_same_after_restart("signal at call " + std::to_string(call));
  }
  EXPECT_GT(stopped, 4);
}

TEST_F(ScoringStopped, OtherRanksMayGoOn) {
  const auto words = command("sartor-infer", classify_config);
  for (const int64_t call : {12, 30}) {
    ASSERT_EQ(run_with_fault(words, folder_, call, Fault::kill_before).status, 137);
    ASSERT_TRUE(std::filesystem::exists(path("out.csv.parts")));
    expect_same_after_restart("call " + std::to_string(call), 3);
  }
}

TEST_F(ScoringStopped, OnlyTheSameJobIsResumed) {
  ASSERT_EQ(run_with_fault(command("sartor-infer", classify_config), folder_, 30, Fault::kill_before).status, 137);
  const auto refused = [&](const std::vector<std::string>& more, const std::string& said) {
    const Outcome outcome = infer(classify_config, more);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ContainsRegex(said));
  };
  refused({}, "out.csv.parts exists.*--resume continues it");
  refused({"--resume", "--set", "precision=int8"}, "precision: the job began with fp32");
  refused({"--resume", "--set", "rows_per_part=21"}, "rows_per_part: the job began with 20");
  const auto texts = read("texts.csv");
  write("texts.csv", texts + "x,y\n");
  refused({"--resume"}, "texts.csv is not what it was when the job began");
  write("texts.csv", texts);
  write("model/calibration.json", "{\"temperature\": 2}");
  refused({"--resume"}, "the job began with 6 files, --resume cannot continue with 7");
  std::filesystem::remove(path("model/calibration.json"));
  std::filesystem::rename(path("texts.csv"), path("moved.csv"));
  expect_done(infer(classify_config, {"--resume", "--set", "source.path=" + path("moved.csv"), "--set", "window=3"}));
  EXPECT_EQ(taken().first, expected_.first);
}

TEST_F(ScoringStopped, AnotherWriterIsRefused) {
  ASSERT_EQ(run_with_fault(command("sartor-infer", classify_config), folder_, 30, Fault::kill_before).status, 137);
  const int lock = open(path("out.csv.parts/.lock").c_str(), O_RDWR);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const Outcome outcome = infer(classify_config, {"--resume"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("out.csv is in use by process"));
  close(lock);
  expect_same_after_restart("once it has ended");
}

TEST_F(ScoringStopped, ADoneJobIsLeftAlone) {
  expect_done(infer(classify_config));
  const Outcome outcome = infer(classify_config, {"--resume"});
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("is already complete"));
  EXPECT_EQ(taken(), expected_);
}

TEST_F(ScoringStopped, NoOtherFileIsTakenForADoneJob) {
  const auto refused = [&](const char* config, const std::string& change, const std::string& said) {
    const Outcome outcome = infer(config, {"--resume", "--set", change});
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(said), Not(HasSubstr("complete"))));
  };
  write("out.csv", "notes\n");
  refused(classify_config, "threads=1", "out.csv exists, but not " + path("out.csv.job.json"));
  write("out.h5", "notes\n");
  refused(embed_config, "threads=1", "out.h5 exists, but not " + path("out.h5.job.json"));
  EXPECT_EQ(read("out.csv"), "notes\n");

  expect_done(infer(classify_config, {"--overwrite"}));
  expect_done(infer(embed_config, {"--overwrite"}));
  write("other.csv", "id,text\n编号0,很好\n");
  write_bert_folder(path("other"), small_bert({"负面", "好"}));
  for (const char* config : {classify_config, embed_config}) {
    refused(config, "precision=int8", "precision: the job began with fp32");
    refused(config, "source.path=" + path("other.csv"), "other.csv is not what it was");
    refused(config, "model=" + path("other"), "other/config.json is not what it was");
    expect_done(infer(config, {"--resume"}));
  }
  refused(classify_config, "probabilities=false", "probabilities: the job began with true");
  refused(embed_config, "pooling=cls", "pooling: the job began with mean");
}

}  // namespace
}  // namespace sartor::testing
