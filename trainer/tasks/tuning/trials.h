// Runs the trials of a search: trainings with some settings of a config.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/program.h"
#include "tasks/tuning/space.h"

namespace sartor {

// What every trial has in common.
struct TrialPlan {
  const std::vector<Task>& tasks;
  std::string config;               // path of the config that is tuned
  std::vector<std::string> fields;  // of the settings
  std::string repeated;             // field that is set to each of `repeats`; empty for a single run
  std::vector<std::string> repeats = {""};
  std::vector<std::string> changes;  // further changes: "device=cpu"
  std::string split, metric;
  std::filesystem::path folder;  // of the search
  bool keep_runs = false;
};

struct Trial {
  int64_t number;
  Settings settings;
  int64_t round = 0;                                               // from 0
  std::optional<std::pair<std::string, std::string>> budget = {};  // a field and its value in this round
};

struct Outcome {
  int64_t trial = 0, round = 0;
  std::string budget;          // "" without one
  std::vector<double> values;  // of the metric, one per repeat
  double seconds = 0;

  double mean() const;  // NaN if a value is not finite
  double deviation() const;
};

// Reads the config with the settings. Throws std::invalid_argument if they are not valid or the task does not write a
// run folder.
void check_trial(const TrialPlan& plan, const Trial& trial);

// Runs the trial, unless its record in the folder of the search says that it is complete. A run that was stopped, or
// that an earlier round trained with a smaller budget, is resumed. What it prints goes to a file beside its run folder.
Outcome run_trial(const TrialPlan& plan, const Trial& trial);

// Deletes the run folders of the trial, unless plan.keep_runs.
void remove_runs(const TrialPlan& plan, int64_t trial);

// "model.factors=64 model.epochs=10"
std::string in_words(const TrialPlan& plan, const Settings& settings);

// The config with these settings.
YamlNode tuned_config(const TrialPlan& plan, const Settings& settings);

std::string to_text(const std::vector<Outcome>& outcomes);
std::vector<Outcome> outcomes_of(const std::string& text);

}  // namespace sartor
