// Results of a search: a table of all trials, the best config, and a picture.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tasks/tuning/trials.h"

namespace sartor {

// Writes trials.csv, best.yaml and trials.svg. settings: by trial.
void write_report(const std::filesystem::path& folder, const TrialPlan& plan, const std::vector<Settings>& settings,
                  const std::vector<Outcome>& outcomes, const Outcome& best);

// Metric of each trial against each field, one chart per field; the best trial is marked.
std::string draw_trials(const TrialPlan& plan, const std::vector<Settings>& settings,
                        const std::vector<Outcome>& outcomes, const Outcome& best);

}  // namespace sartor
