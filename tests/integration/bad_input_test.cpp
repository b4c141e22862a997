// User errors: one error line, exit status 2, no partial output.
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <regex>

#include "integration/refusals.h"
#include "storage/hdf5_file.h"
#include "support/bert_folders.h"
#include "support/paths.h"

namespace sartor::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class BadInput : public Refusals {
 protected:
  // If no row is valid, only the rejects file remains; removes it again.
  void refused_with_rejects(const std::string& config, const std::string& rejects, const std::string& said) {
    const Outcome outcome = run_command(command("sartor-train", config));
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ContainsRegex(said));
    EXPECT_EQ(one_line(outcome.err, "sartor-train"), 1) << outcome.err;
    EXPECT_TRUE(std::filesystem::remove(path(rejects)));
  }
  void train_refused(const std::string& config, const std::string& said, const std::vector<std::string>& more = {}) {
    refused("sartor-train", config, said, more);
  }
  void infer_refused(const std::string& config, const std::string& said, const std::vector<std::string>& more = {}) {
    refused("sartor-infer", config, said, more);
  }
  // Runs with the GPUs hidden, if there are any.
  void gpu_refused(const std::string& program, const std::string& config) {
    refused(program, config, "device is cuda: (no NVIDIA driver or no device was found|.*SARTOR_CUDA=OFF)",
            {"--set", "device=cuda"}, {"CUDA_VISIBLE_DEVICES="});
  }
  static std::string with(std::string config, const std::string& from, const std::string& to) {
    const size_t at = config.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return config.replace(at, from.size(), to);
  }
};

TEST_F(BadInput, Configs) {
  write_ratings();
  expect_done(train(prepare_config));
  train_refused("task: factorise\n", ":1: task: .*factorise.*did you mean factorize");
  train_refused("tusk: factorize\n", "task");
  train_refused("", "empty");
  train_refused("task: [prepare\n", ":[12]: ");
  train_refused(with(factorize_config, "factors: 4", "factors: 0"),
                ":4: model.factors: found 0, expected integer from 1 to 65536");
  train_refused(with(factorize_config, "factors: 4", "factors: many"), ":4: model.factors: .*many");
  train_refused(with(factorize_config, "regularization: 0.5", "regularisation: 0.5"),
                ":4: model.*regularisation.*did you mean regularization");
  train_refused(with(factorize_config, "regularization: 0.5", "regularization: .nan"), ":4: model.regularization: ");
  train_refused(with(factorize_config, "device: cpu", "device: gpu"), ":2: device: .*gpu.*auto, cpu or cuda");
  train_refused(with(factorize_config, "device: cpu\n", ""), "--set model.factors=-3.*found -3",
                {"--set", "model.factors=-3"});
  train_refused(with(factorize_config, "output: FOLDER/run\n", ""), "output: required and missing");
  train_refused(factorize_config + std::string("output: twice\n"), "output: duplicate key, first at .*:5");
  train_refused(with(prepare_config, "method: random", "method: rows"), ":3: split: first_test_row and test_rows");
  train_refused(with(prepare_config, "test: 0.2", "test: 1"), ":3: split: .*nothing for training");
  train_refused(with(prepare_config, "test: 0.2", "test: 0.9"),
                "test 0.9 and validation 0.1 leave nothing for training");
}

// All tasks of the other program's --help.
TEST_F(BadInput, TasksOfTheOtherProgram) {
  const auto tasks_of = [](const std::string& program) {
    const auto help = run_command({sartor::testing::program(program), "--help"}).out;
    const auto list = help.substr(help.find("Tasks ("), help.find("Examples:") - help.find("Tasks ("));
    std::vector<std::string> names;
    const std::regex line("\n  ([a-z_]+) ");
    for (std::sregex_iterator found(list.begin(), list.end(), line), end; found != end; ++found)
      names.push_back((*found)[1]);
    return names;
  };
  const auto train = tasks_of("sartor-train"), infer = tasks_of("sartor-infer");
  EXPECT_GE(train.size(), 6u);
  EXPECT_GE(infer.size(), 4u);
  for (const auto& task : infer) {
    if (std::ranges::count(train, task) == 0)
      train_refused("task: " + task + "\n", ":1: task: " + task + " is a task of sartor-infer");
  }
  for (const auto& task : train) {
    if (std::ranges::count(infer, task) == 0)
      infer_refused("task: " + task + "\n", ":1: task: " + task + " is a task of sartor-train");
  }
}

TEST_F(BadInput, CommandLines) {
  const auto refused_line = [](std::vector<std::string> words, const std::string& said) {
    words.insert(words.begin(), sartor::testing::program("sartor-train"));
    const Outcome outcome = run_command(words);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ContainsRegex(said));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  };
  refused_line({}, "--config FILE");
  refused_line({"--config"}, "--config");
  refused_line({"--config", path("none.yaml")}, "none.yaml.*No such file");
  refused_line({"--confg", "a.yaml"}, "--confg");
  refused_line({"--config", path("none.yaml"), "--resume", "--overwrite"}, "resume|overwrite");
}

TEST_F(BadInput, Tables) {
  const auto ratings = [&](const std::string& rows) { write("ratings.csv", rows); };
  train_refused(prepare_config, "ratings.csv: no such file");
  ratings("user,item,score,time\nu,i,3,1\n");
  train_refused(prepare_config, "ratings.csv: .*rating");
  ratings("");
  train_refused(prepare_config, "ratings.csv is empty");
  ratings("user,item,rating,time\n");
  train_refused(prepare_config, "no ratings");
  ratings("user,item,rating,time\nu,i,nan,1\nu,i,x,2\nu,i\n");
  refused_with_rejects(prepare_config, "prepared.h5.rejects.tsv",
                       "no row could be used, 3 were rejected: [^ ]*ratings.csv: row 4: not 4 columns, found u,i .1.; "
                       "[^ ]*ratings.csv: row 2: value is not finite, found nan .1.; [^ ]*ratings.csv: row 3: value is "
                       "not a number, found x .1.; see [^ ]*prepared.h5.rejects.tsv");
  const std::string strict = with(prepare_config, "source: {", "source: {unfit: error, minimum: 1, maximum: 5, ");
  ratings("user,item,rating,time\nu,a,3,1\nu,b,NaN,1\n");
  train_refused(strict, "ratings.csv: row 3: value is not finite");
  ratings("user,item,rating,time\nu,a,3,1\nu,b,6,1\n");
  train_refused(strict, "ratings.csv: row 3: value is above the maximum");
  ratings("user,item,rating,time\nu,a,3,1\nu,b,good,1\n");
  train_refused(strict, "ratings.csv: row 3: value is not a number");
  ratings("user,item,rating,time\nu,a,3,1\nu,,4,1\n");
  train_refused(strict, "ratings.csv: row 3: item is missing");
  ratings("user,item,rating,time\n用户,商品,3,1\nu,i,4,2\n用户,商品,5,3\n");
  train_refused(with(prepare_config, "split:", "cleaning: {duplicates: error}\nsplit:"), "用户.*商品");
  ratings("user,item,rating,time\nu,a,3,1\n");
  train_refused(prepare_config, "nothing.*training|training");
  train_refused(with(prepare_config, "FOLDER/prepared.h5", "FOLDER/none/deep/prepared.h5"), "training");
  train_refused(with(prepare_config, "FOLDER/prepared.h5", "FOLDER/ratings.csv/prepared.h5"),
                "would be written into .*ratings.csv, which is read");
  write("ratings.parquet", "PAR1 this is no Parquet file PAR1");
  train_refused(with(prepare_config, "ratings.csv", "ratings.parquet"), "ratings.parquet: ");
  write("ratings.csv.gz", "\x1f\x8b\x08 and nothing more");
  train_refused(with(prepare_config, "ratings.csv", "ratings.csv.gz"), "ratings.csv.gz: ");
}

TEST_F(BadInput, WhatCanBeReadOnceOnly) {
  const std::string piped = with(prepare_config, "path: FOLDER/ratings.csv", "path: '-', format: csv");
  train_refused(piped, "- is standard input and can be read only once, but is needed again for its SHA-256");
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  train_refused(with(prepare_config, "path: FOLDER/ratings.csv", "path: FOLDER/pipe, format: csv"),
                "pipe is a pipe or device and can be read only once");
}

TEST_F(BadInput, EncodingsThatCannotBeTold) {
  write("ratings.csv", "user,item,rating,time\n\xe9t,i,3,1\n");
  train_refused(with(prepare_config, "ratings.csv,", "ratings.csv, encoding: auto,"),
                "ratings.csv: cannot detect the encoding: .*gb18030 and windows-1252 are possible");
  write("ratings.csv", "\xd3\xc3\xbb\xa7,item,rating,time\nu,i,3,1\n");
  train_refused(prepare_config, "ratings.csv: the header is not utf-8: .xd3û.xa7,item");
}

TEST_F(BadInput, PreparedFiles) {
  train_refused(factorize_config, "prepared.h5: no such file");
  write("prepared.h5", "this is no HDF5 file");
  train_refused(factorize_config, "prepared.h5 is not a readable HDF5 file");
  write_ratings();
  expect_done(train(prepare_config, {"--overwrite"}));
  const std::string whole = read("prepared.h5");
  for (const double share : {0.1, 0.5, 0.99}) {
    write("prepared.h5", whole.substr(0, static_cast<size_t>(share * static_cast<double>(whole.size()))));
    train_refused(factorize_config, "prepared.h5 is not a readable HDF5 file");
  }
  datasets::Hdf5File::create(path("prepared.h5")).set_schema("sartor.prepared", 9);
  train_refused(factorize_config, "prepared.h5.* 9.* 1");
}

TEST_F(BadInput, Runs) {
  make_run();
  train_refused(factorize_config, "run.*exists");
  train_refused(factorize_config, "regularization", {"--resume", "--set", "model.regularization=0.7"});
  train_refused(with(factorize_config, "FOLDER/run", "FOLDER/other"), "other.*resume|no run.*other", {"--resume"});
  train_refused(with(factorize_config, "FOLDER/run", "/proc/run"), "/proc/");
  train_refused(prepare_config, "prepared.h5.*exists");
  gpu_refused("sartor-train", with(factorize_config, "FOLDER/run", "FOLDER/gpu"));
}

TEST_F(BadInput, Inference) {
  infer_refused(recommend_config, "run.*: no such file");
  make_run();
  infer_refused(recommend_config + std::string("items: {path: FOLDER/ratings.csv, id: item, columns: [user]}\n"),
                "items.columns: the output would have two columns user");
  infer_refused(recommend_config + std::string("items: {path: FOLDER/ratings.csv, id: item, columns: [time, time]}\n"),
                "items.columns: the output would have two columns time");
  write("broken.csv", "id,name\nu0,a\n用户1\n");
  infer_refused(recommend_config + std::string("users: {path: FOLDER/broken.csv, column: id}\n"),
                "broken.csv: row 3: not 2 columns");
  infer_refused(with(recommend_config, "lists.csv", "lists.txt"), "lists.txt.*csv");
  infer_refused(recommend_config + std::string("users: {path: FOLDER/ratings.csv, column: name}\n"),
                "ratings.csv: .*name");
  infer_refused(recommend_config + std::string("allow: {path: FOLDER/ratings.csv, column: user}\n"),
                "leave no item|allow");
  infer_refused(with(recommend_config, "model: FOLDER/run", "model: FOLDER/prepared.h5"),
                "prepared.h5: .*sartor.prepared");
  write("lists.csv", "mine");
  infer_refused(recommend_config, "lists.csv exists");
  EXPECT_EQ(read("lists.csv"), "mine");
}

#ifndef SARTOR_WITHOUT_CUDA
TEST_F(BadInput, AnOldDriverIsNamedWithTheVersionThatIsNeeded) {
  make_run();
  const std::string said =
      "the NVIDIA driver is too old: it supports CUDA 12.4, this build requires CUDA 13.0 or newer";
  const std::vector<std::string> old = {"LD_PRELOAD=" + sartor::testing::program("sartor_old_driver.so"),
                                        "ASAN_OPTIONS=verify_asan_link_order=0"};
  refused("sartor-infer", recommend_config, "device is cuda: " + said, {"--set", "device=cuda"}, old);
  const Outcome outcome =
      run_command(command("sartor-train", factorize_config, {"--overwrite", "--set", "device=auto"}), old);
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("(no GPU: " + said + ")"));
}
#endif

TEST_F(BadInput, LanguageModels) {
  const std::string words =
      "task: vocabulary\n"
      "data: {sources: [{path: FOLDER/texts.csv}], label: {kind: none}}\n"
      "split: {method: random, test: 0, validation: 0}\n"
      "output: FOLDER/tokenizer\n";
  train_refused(words, "texts.csv: no such file");
  write("texts.csv", "text\n \n");
  refused_with_rejects(words, "tokenizer.rejects.tsv",
                       "no row could be used, 1 were rejected: [^ ]*texts.csv: row 2: text is missing");
  write("texts.csv", "text\n很好\n");
  train_refused(words, "vocab_size: found 0", {"--set", "vocab_size=0"});
  expect_done(train(words));
  train_refused(words, "tokenizer exists");
  expect_done(
      train("task: tokenize\ndata: {sources: [{path: FOLDER/texts.csv}], label: {kind: none}}\nsplit: {method: "
            "random, test: 0, validation: 0}\ntokenizer: FOLDER/tokenizer\noutput: FOLDER/texts.h5\n"));

  const std::string model =
      "task: pretrain\n"
      "device: cpu\n"
      "data: {path: FOLDER/texts.h5}\n"
      "model: {tokenizer: FOLDER/tokenizer}\n"
      "output: FOLDER/run\n";
  train_refused(with(model, "tokenizer: FOLDER/tokenizer", ""), ":4: model: give either path");
  train_refused(with(model, "tokenizer:", "path: FOLDER/run, tokenizer:"), ":4: model: give either path");
  train_refused(with(model, "tokenizer: FOLDER/tokenizer", "path: FOLDER/run, shape: {}"), ":4: model: shape is for");
  train_refused(model, "model.shape: hidden_size 768 is not a multiple of num_attention_heads 7",
                {"--set", "model.shape.num_attention_heads=7"});
  train_refused(model, "mlm_probability: found 0", {"--set", "mlm_probability=0"});
  train_refused(model, "texts.h5 has rows of up to 128 tokens, the model takes 20",
                {"--set", "model.shape.max_position_embeddings=20"});
  train_refused(with(model, "tokenizer: FOLDER/tokenizer", "tokenizer: FOLDER/none"), "none");
}

TEST_F(BadInput, Scoring) {
  const std::string config =
      "task: classify\n"
      "device: cpu\n"
      "model: FOLDER/model\n"
      "source: {path: FOLDER/texts.csv}\n"
      "output: FOLDER/scores.csv\n";
  const std::string embed = with(with(config, "classify", "embed"), "scores.csv", "vectors.h5");
  infer_refused(config, "model: no such folder");
  write_bert_folder(path("model"), small_bert());
  infer_refused(config, "texts.csv: no such file");
  write("texts.csv", "id,text\n1,good\n");
  infer_refused(config + "text: '{body}'\n", "texts.csv: .*body");
  infer_refused(config + "text: '{text'\n", "the template .* an unclosed");
  infer_refused(config + "pair: '}'\n", "the template .* an unopened");
  infer_refused(config + "keep: [name]\n", "texts.csv: .*name");
  infer_refused(embed + "id: name\n", "texts.csv: .*name");
  infer_refused(embed + "keep: [id]\n", "keep: unknown key");
  infer_refused(config + "max_length: 41\n", "max_length is 41, .*model supports at most 40");
  infer_refused(config + "max_length: 1\n", "max_length|longest|truncat");
  infer_refused(config + "precision: fp16\n", "precision: found fp16, expected fp32, tf32, bf16 or int8");
  infer_refused(config + "temperature: 0\n", "temperature: found 0, expected number above 0");
  infer_refused(config + "rows_per_part: 0\n", "rows_per_part: found 0");
  infer_refused(config + "separator: ''\n", "separator is empty");
  infer_refused(config + "rejects: FOLDER/scores.csv\n", "scores.csv would be written twice");
  infer_refused(with(config, "scores.csv", "texts.csv"), "texts.csv is both read and written", {"--overwrite"});
  infer_refused(with(config, "scores.csv", "scores.txt"),
                "scores.txt.*with the extension .csv, .tsv, .jsonl or .parquet");
  infer_refused(with(config, "FOLDER/scores.csv", "FOLDER/texts.csv/scores.csv"),
                "would be written into .*texts.csv, which is read");
  infer_refused(with(config, "FOLDER/scores.csv", "FOLDER/model"), "with the extension|is a folder");
  infer_refused(config, "there is no job to resume", {"--resume"});
  gpu_refused("sartor-infer", config);
  write("scores.csv", "mine");
  infer_refused(config, "scores.csv exists: --overwrite replaces it");
  EXPECT_EQ(read("scores.csv"), "mine");
  std::filesystem::remove(path("scores.csv"));

  write("model/calibration.json", "{}");
  infer_refused(config, "calibration.json: expected temperature");
  std::filesystem::remove(path("model/calibration.json"));
  write_bert_folder(path("base"), small_bert(), bert::Head::none);
  infer_refused(with(config, "FOLDER/model", "FOLDER/base"), "base: has no tensor classifier.weight");
  auto narrow = small_bert();
  narrow.vocab_size--;
  write_bert_folder(path("base"), narrow);
  infer_refused(with(config, "FOLDER/model", "FOLDER/base"), "the tokenizer has 24 ids, but the model has 23");
  narrow = small_bert();
  narrow.type_vocab_size = 1;
  write_bert_folder(path("base"), narrow);
  infer_refused(with(config, "FOLDER/model", "FOLDER/base") + "pair: '{id}'\n",
                "the tokenizer uses token type 1, but the model has 1 token types");
  std::filesystem::create_directory(path("run"));
  write("run/run.yaml", "task: classify\n");
  infer_refused(with(config, "FOLDER/model", "FOLDER/run"), "run is a run without a text model");
  write("texts.csv.gz", "\x1f\x8b\x08 and nothing more");
  infer_refused(with(config, "texts.csv", "texts.csv.gz"), "texts.csv.gz: ");
}

TEST_F(BadInput, FullDisksLeaveNothing) {
  make_run();
  const auto full = [&](const std::vector<std::string>& words) {
    const auto before = files();
    const Outcome outcome = run_with_fault(words, folder_, 1, Fault::disk_full);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("No space left on device"));
    EXPECT_EQ(files(), before);
  };
  full(command("sartor-train", with(prepare_config, "prepared.h5", "again.h5")));
  full(command("sartor-train", with(factorize_config, "FOLDER/run", "FOLDER/again")));
  full(command("sartor-infer", recommend_config));
}

}  // namespace
}  // namespace sartor::testing
