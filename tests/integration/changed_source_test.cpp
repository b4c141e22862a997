// A source that grows while a task reads it is an error that names the file; there is no output.
#include <fmt/format.h>

#include "integration/fixture.h"
#include "support/bert_folders.h"

namespace sartor::testing {
namespace {

using ::testing::EndsWith;

class ChangedSource : public Programs {
 protected:
  // The line is appended before the task's call number `at` that changes files in FOLDER/out.
  void refused(const std::vector<std::string>& words, const std::string& source, int64_t at) {
    SCOPED_TRACE(::testing::PrintToString(words));
    std::filesystem::remove_all(path("out"));
    std::filesystem::create_directory(path("out"));
    const Outcome outcome = run_with_fault(words, path("out"), at, Fault::grow, {"SARTOR_FAULT_FILE=" + path(source)});
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_THAT(outcome.err, EndsWith(": " + path(source) + " changed while it was read\n"));
    EXPECT_FALSE(std::filesystem::exists(path("out/a")));
  }
  // Before the first output file is created.
  void train_refused(const std::string& config, const std::string& source) {
    refused(command("sartor-train", config + "output: FOLDER/out/a\n"), source, 1);
  }
  // While parts are written.
  void infer_refused(const std::string& config, const std::string& source) {
    std::filesystem::create_directory(path("out"));
    const auto words = command("sartor-infer", config + "rows_per_part: 5\noutput: FOLDER/out/a.csv\n");
    const auto calls = count_calls(words, path("out"));
    refused(words, source, calls / 2);
    EXPECT_FALSE(std::filesystem::exists(path("out/a.csv")));
    std::filesystem::remove_all(path("out"));
  }
};

TEST_F(ChangedSource, OfRatings) {
  write_ratings();
  train_refused("task: prepare\nsource: {path: FOLDER/ratings.csv, columns: {user: user, item: item, value: rating}}\n",
                "ratings.csv");
}

TEST_F(ChangedSource, OfTexts) {
  write_bert_folder(path("model"), small_bert());
  std::string lines = "text,label\n";
  for (int row = 0; row < 50; row++) lines += fmt::format("很好 good {},{}\n", row, row % 2);
  write("文.csv", lines);
  train_refused(
      "task: tokenize\ndata: {sources: [{path: FOLDER/文.csv}], label: {column: label}}\ntokenizer: FOLDER/model\n",
      "文.csv");
  const std::string scored = "device: cpu\nmodel: FOLDER/model\nsource: {path: FOLDER/文.csv}\n";
  infer_refused("task: classify\n" + scored, "文.csv");
  infer_refused("task: embed\n" + scored, "文.csv");
  infer_refused("task: embed\n" + scored, "model/vocab.txt");
}

}  // namespace
}  // namespace sartor::testing
