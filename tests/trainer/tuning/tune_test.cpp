// Searches over a task whose metric is a function of its settings.
#include "tasks/tuning/tune.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/run_task.h"
#include "schema/config.h"
#include "schema/document.h"
#include "support/folder_test.h"
#include "support/thread_ranks.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;
using Json = nlohmann::json;

struct HillConfig : RunConfig, RanksConfig {
  double x = 0, y = 0;
  int64_t epochs = 1;
  std::string name;

  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    RanksConfig::describe(field);
    field("x", x, between(-10, 10), "First coordinate.");
    field("y", y, between(-10, 10), "Second coordinate.");
    field("epochs", epochs, at_least(1), "Epochs.");
    field("name", name, "A text.");
  }
  std::vector<std::filesystem::path> reads() const { return {}; }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

int64_t trained = 0;    // epochs, by all trials
int64_t crash_at = -1;  // value of `trained` at which the process is "killed"
struct Killed {};

struct Counter {
  int64_t epochs = 0;
  void save(const std::filesystem::path& folder) const { std::ofstream(folder / "epochs") << epochs; }
  void load(const std::filesystem::path& folder) { std::ifstream(folder / "epochs") >> epochs; }
};

// Reaches height 100 at (3, -1) after many epochs.
void climb(const HillConfig& config, Runtime&, Run& run) {
  require(config.x != 9, "x must not be 9");
  Counter counter;
  run.restore(counter);
  for (const auto epoch : run.steps(config.epochs)) {
    if (trained == crash_at) throw Killed();
    trained++;
    counter.epochs++;
    run.log(epoch, {});
    run.checkpoint(epoch, counter);
  }
  std::printf("climbing\n");
  const double height =
      100 - std::pow(config.x - 3, 2) - std::pow(config.y + 1, 2) - 50.0 / static_cast<double>(counter.epochs);
  run.finish(counter, {{"validation", {{"height", config.x == 8 ? NAN : height}}}, {"test", {{"height", 0}}}});
}

class Tune : public testing::WorkingFolderTest {
 protected:
  Tune() {
    trained = 0;
    crash_at = -1;
    write("hill.yaml", "task: hill\ndevice: cpu\nname: 山\noutput: runs/hill\n");
  }

  static std::vector<Task> others() {
    struct FileConfig : HillConfig {
      std::vector<Output> writes() const { return {{.path = output}}; }
    };
    std::vector<Task> tasks = {task("hill", Processes::sharing, "Climbs.", climb, {"epochs"})};
    tasks.push_back(make_task<FileConfig>("file", Processes::one, "Writes.", [](const auto&, const auto&) {}));
    return tasks;
  }

  static std::string text(const std::string& more) {
    return "task: tune\ndevice: cpu\nthreads: 1\nconfig: hill.yaml\nmetric: height\ngoal: maximize\noutput: "
           "runs/tune\n" +
           more;
  }

  void tune(const std::string& more, bool resume = false) const {
    tune_task(others()).run(
        {.config = "tune.yaml", .document = parse_document(text(more), "tune.yaml"), .resume = resume});
  }

  void refused(const std::string& more, const std::string& said) const {
    EXPECT_THAT([&] { tune(more); }, ThrowsMessage<std::invalid_argument>(HasSubstr(said)));
    EXPECT_FALSE(std::filesystem::exists("runs/tune")) << said;
  }
};

const std::string xy = "space: [{field: x, values: [0, 3, 5]}, {field: y, values: [-1, 2]}]\n";

TEST_F(Tune, AGridFindsTheBestCombination) {
  tune(xy);
  EXPECT_EQ(read("runs/tune/best.yaml"),
            "# Trial 2 of 6: validation height 50\ntask: hill\ndevice: cpu\nname: 山\noutput: runs/hill\n"
            "x: 3\n\"y\": -1\n");
  EXPECT_THAT(
      read("runs/tune/trials.csv"),
      ::testing::StartsWith("trial,round,budget,x,y,validation.height,standard_deviation,seconds\n0,1,\"\",0,-1,41,"));
  const auto results = Json::parse(read("runs/tune/results.json"));
  EXPECT_EQ(results["validation"]["height"], 50);
  EXPECT_EQ(results["validation"]["trial"], 2);
  EXPECT_THAT(read("runs/tune/trials.svg"), HasSubstr("</svg>"));
  for (const auto& entry : std::filesystem::directory_iterator("runs/tune/trials")) {
    EXPECT_EQ(entry.path().extension(), ".json") << entry.path();
  }
}

TEST_F(Tune, RunFoldersAreKeptOnDemandWithWhatTheyPrinted) {
  tune("space: [{field: x, values: [1]}]\nkeep_runs: true\n");
  EXPECT_TRUE(std::filesystem::exists("runs/tune/trials/0000/results.json"));
  EXPECT_THAT(read("runs/tune/trials/0000.log"), HasSubstr("climbing"));
}

TEST_F(Tune, HalvingContinuesTheBestTrials) {
  tune(
      "space: [{field: x, low: 0, high: 6}, {field: y, low: -3, high: 1}]\nsearch: halving\ntrials: 9\n"
      "budget: {field: epochs, minimum: 1, maximum: 9, factor: 3}\n");
  EXPECT_EQ(trained, 9 * 1 + 3 * 2 + 1 * 6);  // resumed, not repeated
  const auto table = read("runs/tune/trials.csv");
  EXPECT_EQ(std::ranges::count(table, '\n'), 1 + 9 + 3 + 1);
}

TEST_F(Tune, RepeatsAreAveraged) {
  tune("space: [{field: x, values: [3, 4]}]\nrepeat: {field: y, values: [-1, 1]}\n");
  EXPECT_THAT(read("runs/tune/trials.csv"), HasSubstr("0,1,\"\",3,48,2.8284271247461903,"));
  EXPECT_THAT(read("runs/tune/best.yaml"), Not(HasSubstr("y")));
}

TEST_F(Tune, MetricsThatAreNotFiniteAreNeverBest) {
  tune("space: [{field: x, values: [8, -9]}]\n");
  EXPECT_THAT(read("runs/tune/best.yaml"), HasSubstr("\nx: -9"));
  std::filesystem::remove_all("runs");
  EXPECT_THAT([&] { tune("space: [{field: x, values: [8]}]\n"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("height of no trial is finite")));
}

TEST_F(Tune, AKilledSearchContinues) {
  const std::string config =
      "space: [{field: x, low: 0, high: 6}, {field: y, low: -3, high: 1}]\nsearch: halving\ntrials: 5\n"
      "budget: {field: epochs, minimum: 1, maximum: 6, factor: 2}\n";
  tune(config);
  const auto best = read("runs/tune/best.yaml");
  const int64_t epochs = trained;
  for (int64_t at = 0; at < epochs; at++) {
    std::filesystem::remove_all("runs");
    trained = 0;
    crash_at = at;
    EXPECT_THROW(tune(config), Killed);
    crash_at = -1;
    tune(config, /*resume=*/true);
    EXPECT_EQ(read("runs/tune/best.yaml"), best);
    EXPECT_LE(trained, epochs + 6);
  }
}

TEST_F(Tune, RanksShareTheTrials) {
  const auto config = read_config<TuneConfig>(parse_document(text(xy), "tune.yaml"));
  testing::on_threads(3, [&](Collective& ranks) {
    sartor::Run run({.folder = config.output, .config = config, .unit = "round", .ranks = &ranks});
    sartor::tune(config, others(), run);
    return 0;
  });
  EXPECT_EQ(trained, 6);
  EXPECT_THAT(read("runs/tune/best.yaml"), HasSubstr("x: 3\n\"y\": -1\n"));
  EXPECT_EQ(std::ranges::count(read("runs/tune/trials.csv"), '\n'), 7);
}

TEST_F(Tune, RejectsConfigsBeforeTheFirstTrial) {
  refused("", "space: required and missing");
  refused("space: []\n", "space is empty");
  refused("space: [{field: z, values: [1]}]\n", "unknown key");
  refused("space: [{field: x, values: [1, 11]}]\n", "found 11, expected number from -10 to 10");
  refused("space: [{field: x, values: [1]}, {field: x, values: [2]}]\n", "space has the field x, which is set already");
  refused("space: [{field: output, values: [a]}]\n", "space has the field output, which is set by tune");
  refused("space: [{field: x, values: [1]}]\nconfig: none.yaml\n", "duplicate");
  refused("space: [{field: x, low: 1}]\n", "found low without high");
  refused("space: [{field: x, values: [1]}]\ntrials: 3\n", "trials: unknown key");
  refused("space: [{field: task, values: [tune]}]\n", "found tune, expected hill or file");
  refused("space: [{field: task, values: [file]}]\n", "task file does not write a run folder");
  refused("space: [{field: x, values: [1]}]\nsearch: halving\nbudget: {minimum: 3, maximum: 2}\n",
          "minimum 3 is above maximum 2");
  EXPECT_EQ(trained, 0);
}

TEST_F(Tune, NamesTheTrialThatFails) {
  EXPECT_THAT([&] { tune("space: [{field: x, values: [9]}]\n"); },
              ThrowsMessage<std::invalid_argument>("trial 0 (x=9): x must not be 9"));
  EXPECT_THAT(
      [&] {
        write("hill.yaml", "task: hill\noutput: a\n");
        std::filesystem::remove_all("runs");
        tune_task(others()).run(
            {.config = "tune.yaml",
             .document = parse_document("task: tune\nconfig: hill.yaml\nmetric: depth\noutput: runs/tune\n"
                                        "space: [{field: x, values: [1]}]\n",
                                        "tune.yaml")});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("metric is depth, expected height")));
}

}  // namespace
}  // namespace sartor
