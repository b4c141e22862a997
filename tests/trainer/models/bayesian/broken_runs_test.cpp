// Broken configs and tables of the algorithms bpmf and nmf: one line that says what is wrong, exit status 2, and
// nothing written.
#include <gmock/gmock.h>

#include "engine/run_task.h"
#include "models/factorization/algorithms.h"
#include "support/folder_test.h"
#include "tasks/data/prepare.h"
#include "tasks/factors/factorize.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;

class BrokenRuns : public testing::WorkingFolderTest {
 protected:
  BrokenRuns() {
    std::string rows = "user,item,rating\n";
    for (int cell = 0; cell < 200; cell++) {
      if (cell % 7 == 0) continue;
      rows += "用户" + std::to_string(cell / 10) + ",i" + std::to_string(cell % 10) + "," +
              std::to_string(cell % 5 - 1) + "\n";
    }
    write("ratings.csv", rows);
    write("users.csv", "id,kind,age\n用户1,新,20\n用户2,老,三十\n");
    write("broken.csv", "id,kind\n用户1,\xe6\x96\n");
    const auto [status, said] =
        run("task: prepare\nsource: {path: ratings.csv, columns: {user: user, item: item, value: rating}}\n"
            "split: {method: random, test: 0.2, seed: 7}\noutput: prepared.h5\n");
    EXPECT_EQ(status, 0) << said;
  }

  std::pair<int, std::string> run(const std::string& config) const {
    const std::string file = write("config.yaml", config);
    const std::vector<const char*> words = {"test", "--config", file.c_str()};
    ::testing::internal::CaptureStderr();
    const int status = run_program(
        {.name = "test",
         .summary = "Trains.",
         .examples = "",
         .tasks = {task("prepare", Processes::one, "", prepare),
                   task("factorize", Processes::one, "", factorize_by<FactorizationAlgorithms>, {"model.epochs"})}},
        static_cast<int>(words.size()), words.data());
    return {status, ::testing::internal::GetCapturedStderr()};
  }
  void expect(const std::string& model, const std::string& text) const {
    const auto [status, said] = run("task: factorize\ndevice: cpu\nthreads: 1\ndata: {path: prepared.h5}\nmodel: {" +
                                    model + "}\nevaluation: {at: [3]}\noutput: run\n");
    EXPECT_EQ(status, 2) << model;
    EXPECT_THAT(said, HasSubstr(text)) << model;
    std::istringstream lines(said);
    int64_t errors = 0;
    for (std::string line; std::getline(lines, line);) errors += line.find("error") != line.npos;
    EXPECT_LE(errors, 1) << said;
    EXPECT_FALSE(std::filesystem::exists("run/model")) << model;
  }
};

TEST_F(BrokenRuns, BpmfSaysWhatIsWrong) {
  expect("algorithm: bpmf, factors: 0", "model.factors: found 0, expected integer from 1 to 4096");
  expect("algorithm: bpmf, epochs: 30", "model: epochs is 30, expected at least burn_in + keep_every = 33");
  expect("algorithm: bpmf, keep_every: 0", "model.keep_every: found 0, expected integer at least 1");
  expect("algorithm: bpmf, noise_precision: 0", "model.noise_precision: found 0");
  expect("algorithm: bpmf, regularization: 1", "model.regularization: unknown key");
  expect("algorithm: bpmf, user_features: {path: users.csv, categories: [kind]}", "model.user_features.id");
  expect("algorithm: bpmf, user_features: {path: users.csv, id: id}",
         "model.user_features: names no columns, expected categories, lists or numbers");
  expect("algorithm: bpmf, user_features: {path: users.csv, id: id, categories: [art]}", "art");
  expect("algorithm: bpmf, user_features: {path: users.csv, id: id, numbers: [age]}",
         "users.csv: age of 用户2 is \"三十\", expected a number");
  expect("algorithm: bpmf, user_features: {path: 缺.csv, id: id, categories: [kind]}", "缺.csv");
  expect("algorithm: bpmf, item_features: {path: users.csv, id: id, categories: [kind]}",
         "model.item_features: none of the 10 ids of the data has features in users.csv");
  expect("algorithm: bpmf, user_features: {path: broken.csv, id: id, categories: [kind]}", "broken.csv");
}

TEST_F(BrokenRuns, NmfSaysWhatIsWrong) {
  expect("algorithm: nmf", "prepared.h5: the smallest rating is -1, expected 0 or more for non-negative factors");
  expect("algorithm: nmf, factors: 5000", "model.factors: found 5000, expected integer from 1 to 4096");
  expect("algorithm: nmf, solver: hals", "model.solver: found hals, expected projected or multiplicative");
  expect("algorithm: nmf, missing: mean", "model.missing: found mean, expected ignored or zero");
  expect("algorithm: nmf, biases: true, missing: zero", "model: biases requires missing: ignored, found zero");
  expect("algorithm: nmf, biases: true, solver: multiplicative",
         "model: biases requires solver: projected, found multiplicative");
  expect("algorithm: nmf, steps: 0", "model.steps: found 0, expected integer at least 1");
  expect("algorithm: nmf, regularization: -1", "model.regularization: found -1");
  expect("algorithm: nmf, regularization_power: 2", "model.regularization_power: found 2");
  expect("algorithm: nmf, init_scale: 0", "model.init_scale: found 0");
  expect("algorithm: nmf, seed: -1", "model.seed: found -1");
}

}  // namespace
}  // namespace sartor
