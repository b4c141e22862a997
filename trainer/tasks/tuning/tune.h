// task: tune — searches for the settings of another task's config that give the best metric.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/run.h"
#include "runtime/program.h"
#include "runtime/runtime.h"
#include "tasks/tuning/space.h"

namespace sartor {

enum class Search { grid, random, halving };
constexpr auto choices(Search) {
  return std::to_array<Choice<Search>>(
      {{"grid", Search::grid}, {"random", Search::random}, {"halving", Search::halving}});
}

enum class Split { validation, train };
constexpr auto choices(Split) {
  return std::to_array<Choice<Split>>({{"validation", Split::validation}, {"train", Split::train}});
}

enum class Goal { automatic, minimize, maximize };
constexpr auto choices(Goal) {
  return std::to_array<Choice<Goal>>(
      {{"auto", Goal::automatic}, {"minimize", Goal::minimize}, {"maximize", Goal::maximize}});
}

// The field that says how long a trial trains, in successive halving.
struct BudgetConfig {
  std::string field = "model.epochs";
  int64_t minimum = 1, maximum = 27;
  double factor = 3;

  template <class Fields> void describe(Fields& field) {
    field("field", this->field, "Path of an integer field that --resume may increase, such as model.epochs.");
    field("minimum", minimum, at_least(1), "Its value in the first round.");
    field("maximum", maximum, at_least(1), "Its value in the last round.");
    field(
        "factor", factor, above(1),
        "From round to round the value is multiplied by this factor, and the number of trials divided by it: the best "
        "ones continue.");
  }
  void check() const { require(minimum <= maximum, "minimum {} is above maximum {}", minimum, maximum); }

  std::vector<int64_t> rounds() const;  // values of the field
};

struct RepeatConfig {
  std::string field;
  std::vector<std::string> values;

  template <class Fields> void describe(Fields& field) {
    field.required("field", this->field, "Path of a field, such as data.path or model.seed.");
    field.required("values", values, "Its values: each trial trains with all of them.");
  }
  void check() const { require(!values.empty(), "values is empty, expected one or more"); }
};

struct TuneConfig : RunConfig, RanksConfig {
  std::string config;
  Search search = Search::grid;
  int64_t trials = 20, seed = 0;
  std::vector<ParameterConfig> space;
  std::string metric;
  Split split = Split::validation;
  Goal goal = Goal::automatic;
  std::optional<RepeatConfig> repeat;
  BudgetConfig budget;
  bool keep_runs = false;

  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    RanksConfig::describe(field);
    field.required("config", config, file_path(),
                   "Config to tune, of any task that writes a run folder. Its output is not used: trials are in the "
                   "folder trials of this run.");
    field.required("space", space, "Fields to set and their values.");
    field.choice("search", search,
                 "grid: all combinations of the values; random: combinations drawn at random; halving: random "
                 "combinations, of which the best train longer (successive halving).",
                 [&](Search chosen) {
                   if (chosen == Search::grid) return;
                   field("trials", trials, between(1, 100000), "Number of combinations to draw.");
                   field("seed", seed, "Seed of the combinations.");
                   if (chosen == Search::halving) field("budget", budget, "How long trials train in each round.");
                 });
    field.required("metric", metric, "Metric in results.json of a trial, such as rmse or ndcg@10.");
    field("split", split, "Ratings or rows of the metric. Those of the test split must not choose settings.");
    field("goal", goal, "Whether low or high values are better. auto: known for the metrics of this program.");
    field("repeat", repeat, "Trains each trial several times, for example on several folds, and averages the metric.");
    field("keep_runs", keep_runs, "Whether to keep the run folders of trials.");
  }
  void check() const;
  std::vector<std::filesystem::path> reads() const { return {config}; }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

// Runs trials of the other tasks in this process. Ranks take them from a counter; each trains alone. Writes trials.csv,
// best.yaml and trials.svg to the run folder. The records of complete trials are kept, so that a resumed search repeats
// none, with the same result.
void tune(const TuneConfig& config, const std::vector<Task>& tasks, Run& run);

// The task, for a table that has the others.
Task tune_task(std::vector<Task> others);

}  // namespace sartor
