// scripts/report.py on runs of each kind; the numbers in the report are compared with the files of the run.
#include "integration/fixture.h"
#include "support/paths.h"

namespace sartor::testing {
namespace {

using ::testing::HasSubstr;

class Report : public Programs {
 protected:
  // Writes texts.tsv with three columns of labels, one of which has class names with HTML.
  void write_texts() const {
    const std::vector<std::string> things = {"酒店", "手机", "book"};
    std::string table = "text\tclass\tclasses\tscore\n";
    for (int64_t row = 0; row < 96; row++) {
      const bool good = row % 3 != 0;
      table += "这个" + things[row % 3] + (good ? "很好😀" : "太差") + std::to_string(1000 + row) + "\t" +
               (good ? "好评 & more" : "<script>alert('坏')</script>") + "\t" + (good ? "a|乙" : "乙") + "\t" +
               std::to_string(good ? 4 + row % 2 : 1) + "\n";
    }
    write("texts.tsv", table);
  }

  static std::string on_texts(const std::string& task, const std::string& label, const std::string& more) {
    return "task: " + task + "\ndata:\n  sources: [{path: FOLDER/texts.tsv, quote: ''}]\n  text: '{text}'\n  label: {" +
           label + "}\nsplit: {test: 0.25, validation: 0.25}\n" + more + "\n";
  }

  // Trains a small language model, whose run is reported, too.
  void make_language_model() const {
    write_texts();
    const std::string label = "column: class";
    expect_done(train(on_texts("vocabulary", label, "output: FOLDER/tokenizer")));
    expect_done(
        train(on_texts("tokenize", label, "tokenizer: FOLDER/tokenizer\nmax_length: 20\noutput: FOLDER/class.h5")));
    expect_done(train(
        "task: pretrain\ndevice: cpu\nthreads: 1\ndata: {path: FOLDER/class.h5}\nmodel: {tokenizer: "
        "FOLDER/tokenizer, shape: {hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, "
        "intermediate_size: 24, max_position_embeddings: 20}}\ntraining: {max_steps: 4, logging_steps: 1}\noutput: "
        "FOLDER/language\n"));
  }

  void classify(const std::string& name) const {
    expect_done(train("task: classify\ndevice: cpu\nthreads: 1\ndata: {path: FOLDER/" + name +
                      ".h5}\nmodel: {path: FOLDER/language/model}\ntraining: {num_train_epochs: 6, logging_steps: 1, "
                      "learning_rate: 0.005}\nbootstrap_draws: 100\noutput: FOLDER/run-" +
                      name + "\n"));
  }

  Outcome report(std::vector<std::string> words) const {
    words.insert(words.begin(),
                 {sartor::testing::venv_program("python"), sartor::testing::source_path("scripts/report.py")});
    return run_command(words);
  }

  // Writes a report on the runs and checks it with check_report.py.
  void expect_true_report(const std::vector<std::string>& runs) const {
    std::vector<std::string> paths, words;
    for (const auto& run : runs) paths.push_back(path(run));
    words = paths;
    words.insert(words.end(), {"--output", path("report.html"), "--tensorboard", path("events")});
    expect_done(report(words));
    words = {sartor::testing::venv_program("python"), sartor::testing::source_path("tests/integration/check_report.py"),
             path("report.html"), path("events")};
    words.insert(words.end(), paths.begin(), paths.end());
    expect_done(run_command(words));
  }
};

TEST_F(Report, OfClassifiers) {
  make_language_model();
  classify("class");
  expect_true_report({"run-class"});
  expect_true_report({"language"});
  expect_done(train(on_texts("tokenize", "column: score, kind: regression",
                             "tokenizer: FOLDER/tokenizer\nmax_length: 20\noutput: FOLDER/score.h5")));
  expect_done(train(on_texts("tokenize", "column: classes, kind: multi_label",
                             "tokenizer: FOLDER/tokenizer\nmax_length: 20\noutput: FOLDER/classes.h5")));
  classify("score");
  classify("classes");
  expect_true_report({"run-score"});
  expect_true_report({"run-classes"});
  expect_true_report({"run-class", "run-classes", "run-score", "language"});
}

TEST_F(Report, OfFactorisations) {
  make_run();
  expect_true_report({"run"});
  expect_done(train(factorize_config, {"--set", "model.factors=2", "--set", "output=" + path("other/run")}));
  expect_true_report({"run", "other/run"});
}

TEST_F(Report, OfARunUnderWay) {
  make_run();
  std::filesystem::remove(path("run/results.json"));
  std::ofstream(path("run/metrics.jsonl"), std::ios::app) << "{\"epoch\": 6, \"secon";
  const auto outcome = report({path("run")});
  expect_done(outcome);
  EXPECT_THAT(read("run/report.html"), HasSubstr("not complete"));
  std::ofstream(path("run/metrics.jsonl"));
  expect_done(report({path("run")}));
}

TEST_F(Report, SaysWhatIsNoRun) {
  const auto refused = [&](const std::string& message) {
    const auto outcome = report({path("run")});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  };
  refused("run is not a run folder: it has no run.yaml");
  std::filesystem::create_directory(path("run"));
  write("run/run.yaml", "task: factorize\n");
  write("run/metrics.jsonl", "{\"epoch\": 1}\nhalf\n");
  refused("metrics.jsonl:2 is invalid");
  write("run/metrics.jsonl", "[]\n");
  refused("metrics.jsonl:1 is invalid: it has neither epoch nor step");
  write("run/metrics.jsonl", "");
  write("run/results.json", "[1]");
  refused("results.json is invalid: expected an object");
}

}  // namespace
}  // namespace sartor::testing
