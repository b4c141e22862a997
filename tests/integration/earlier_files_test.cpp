// Files and folders written by an earlier version (tests/golden/earlier, by scripts/golden/make_earlier_files.sh) still
// open.
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "integration/fixture.h"
#include "storage/hdf5_file.h"

namespace sartor::testing {
namespace {

using nlohmann::json;

class EarlierFiles : public Programs {
 protected:
  EarlierFiles() {
    std::filesystem::copy(source_path("tests/golden/earlier"), folder_, std::filesystem::copy_options::recursive);
    std::filesystem::current_path(folder_);
  }
  ~EarlierFiles() override { std::filesystem::current_path("/"); }

  static std::vector<std::vector<std::string>> cells(const std::string& table) {
    std::vector<std::vector<std::string>> rows;
    std::istringstream lines(table);
    for (std::string line, cell; std::getline(lines, line);) {
      std::istringstream row(line);
      rows.emplace_back();
      while (std::getline(row, cell, ',')) rows.back().push_back(cell);
    }
    return rows;
  }
  // Fractional numbers may differ by rounding, because the order of sums depends on the CPU.
  void expect_same_table(const std::string& name, const std::string& earlier) const {
    const auto now = cells(read(name)), before = cells(earlier);
    ASSERT_EQ(now.size(), before.size());
    for (size_t row = 0; row < now.size(); row++) {
      ASSERT_EQ(now[row].size(), before[row].size());
      for (size_t column = 0; column < now[row].size(); column++) {
        const auto &a = now[row][column], &b = before[row][column];
        if (row > 0 && b.find('.') != b.npos) {
          EXPECT_NEAR(std::stod(a), std::stod(b), 1e-4) << name << " row " << row;
        } else {
          EXPECT_EQ(a, b) << name << " row " << row;
        }
      }
    }
  }
  double result(const std::string& run, const std::string& split, const std::string& metric) const {
    return json::parse(read(run + "/results.json"))[split][metric];
  }
  // Resumes with the config recorded in the run.
  void resume(const std::string& run) const {
    write("resumed.yaml", read(run + "/run.yaml"));
    expect_done(run_command({program("sartor-train"), "--config", "resumed.yaml", "--resume"}));
  }
};

TEST_F(EarlierFiles, PreparedDataTrains) {
  expect_done(
      train("task: factorize\ndevice: cpu\nthreads: 1\ndata: {path: prepared.h5}\n"
            "model: {factors: 4, epochs: 5, regularization: 0.5}\noutput: again\n"));
  EXPECT_NEAR(result("again", "test", "rmse"), result("factors", "test", "rmse"), 1e-4);
}

TEST_F(EarlierFiles, FactorsRecommendFoldInAndCompare) {
  const auto before = read("lists.csv");
  expect_done(infer("task: recommend\ndevice: cpu\nmodel: factors\nk: 5\noutput: lists.csv\n", {"--overwrite"}));
  expect_same_table("lists.csv", before);
  write("new.csv", "user,item,value\nu0,i1,5\n新用户,i2,4\n");
  expect_done(
      infer("task: recommend\ndevice: cpu\nmodel: factors/model/factors.h5\nk: 3\nnew_users: {path: new.csv, columns: "
            "{user: user, item: item, value: value}}\n"
            "output: folded.csv\n"));
  EXPECT_EQ(cells(read("folded.csv")).size(), 1 + 3 * 31);
  expect_done(infer("task: similar\ndevice: cpu\nmodel: factors\nk: 3\noutput: similar.csv\n"));
}

TEST_F(EarlierFiles, AKilledFactorizationResumes) {
  resume("half_factors");
  EXPECT_NEAR(result("half_factors", "test", "rmse"), result("factors", "test", "rmse"), 1e-4);
  EXPECT_EQ(cells(read("half_factors/metrics.jsonl")).size(), 5u);
}

TEST_F(EarlierFiles, TokenizedTextsAndALanguageModelTrain) {
  expect_done(
      train("task: classify\ndevice: cpu\nthreads: 1\ndata: {path: texts.h5}\nmodel: {path: language_model/model}\n"
            "training: {max_steps: 8, learning_rate: 0.01}\noutput: again\n"));
  EXPECT_NEAR(result("again", "validation", "loss"), result("classifier", "validation", "loss"), 1e-3);
}

TEST_F(EarlierFiles, AKilledClassifierResumes) {
  resume("half_classifier");
  EXPECT_NEAR(result("half_classifier", "test", "loss"), result("classifier", "test", "loss"), 1e-3);
}

TEST_F(EarlierFiles, ATokenizerTokenizesAlike) {
  expect_done(
      train("task: tokenize\ndata: {sources: [{path: texts.tsv, quote: ''}], label: {column: label}}\n"
            "split: {test: 0.2, validation: 0.2}\ntokenizer: tokenizer\nmax_length: 20\noutput: again.h5\n"));
  const auto now = datasets::Hdf5File::open("again.h5"), before = datasets::Hdf5File::open("texts.h5");
  for (const char* name : {"data_hash", "tokenizer_hash"}) {
    EXPECT_EQ(now.string_attribute(name), before.string_attribute(name)) << name;
  }
  for (const char* part : {"/train/ids", "/validation/ids", "/test/ids"}) {
    EXPECT_EQ(now.list<int32_t>(part).read(), before.list<int32_t>(part).read()) << part;
  }
  EXPECT_EQ(now.int_attribute("schema_version"), before.int_attribute("schema_version"));
  EXPECT_FALSE(now.has_attribute("content") || now.has("/train/bytes"));
  auto provenance = [](const datasets::Hdf5File& file) { return json::parse(file.string_attribute("provenance")); };
  auto config = provenance(now)["config"].get<std::string>();
  config.replace(config.find("again.h5"), 8, "texts.h5");
  EXPECT_EQ(config, provenance(before)["config"]);
}

TEST_F(EarlierFiles, ScoresAndEmbeddingsAreTheSame) {
  const std::string source = "source: {path: texts.tsv, quote: ''}\ndevice: cpu\n";
  const auto before = read("scores.csv");
  const auto classify = "task: classify\nmodel: classifier\nprobabilities: true\noutput: scores.csv\n" + source;
  write("classify.yaml", classify);
  const std::vector<std::string> words = {program("sartor-infer"), "--config", "classify.yaml"};
  auto resumed = words, renewed = words;
  resumed.push_back("--resume");
  renewed.push_back("--overwrite");
  expect_done(run_command(resumed));  // the record says that the job is done
  EXPECT_EQ(read("scores.csv"), before);
  expect_done(run_command(renewed));
  expect_same_table("scores.csv", before);

  expect_done(infer("task: embed\nmodel: language_model/model\noutput: again.h5\n" + source));
  const auto now = datasets::Hdf5File::open("again.h5").matrix<float>("/vectors").read(),
             earlier = datasets::Hdf5File::open("embeddings.h5").matrix<float>("/vectors").read();
  ASSERT_EQ(now.size(), earlier.size());
  for (size_t at = 0; at < now.size(); at++) ASSERT_NEAR(now[at], earlier[at], 1e-4);
  expect_done(infer("task: similar\ndevice: cpu\nmodel: embeddings.h5\nk: 3\noutput: similar.csv\n"));
}

}  // namespace
}  // namespace sartor::testing
