#include "tasks/tuning/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/run_task.h"
#include "schema/log.h"
#include "schema/messages.h"
#include "storage/sha256.h"
#include "tasks/tuning/report.h"
#include "tasks/tuning/trials.h"

namespace sartor {
namespace {

TrialPlan plan_of(const TuneConfig& config, const std::vector<Task>& tasks) {
  TrialPlan plan = {.tasks = tasks,
                    .config = config.config,
                    .split = std::string(name_of(config.split)),
                    .metric = config.metric,
                    .folder = config.output,
                    .keep_runs = config.keep_runs};
  for (const auto& parameter : config.space) plan.fields.push_back(parameter.field);
  if (config.repeat) {
    plan.repeated = config.repeat->field;
    plan.repeats = config.repeat->values;
  }
  if (config.device != Device::automatic) plan.changes.push_back(fmt::format("device={}", name_of(config.device)));
  if (config.threads > 0) plan.changes.push_back(fmt::format("threads={}", config.threads));
  return plan;
}

class Tuning {
 public:
  Tuning(const TuneConfig& config, const std::vector<Task>& tasks, Run& run)
      : config_(config),
        plan_(plan_of(config, tasks)),
        run_(run),
        settings_(config.search == Search::grid ? grid(config.space)
                                                : random_settings(config.space, config.trials, config.seed)) {
    for (int64_t trial = 0; trial < std::ssize(settings_); trial++) check_trial(plan_, trial_of(trial, 0));
  }

  void operator()() {
    std::vector<int64_t> left(settings_.size());
    for (size_t i = 0; i < left.size(); i++) left[i] = static_cast<int64_t>(i);
    for (const int64_t round : run_.steps(rounds())) {
      const auto found = run_round(left, round - 1);
      const Outcome& best = *std::ranges::min_element(found, better());
      run_.log(round, {{plan_.split, {{config_.metric, best.mean()}}}});
      left = best_trials(found, kept(round));
      on_first(run_.ranks(), [&] {
        for (const auto& outcome : found) {
          if (std::ranges::count(left, outcome.trial) == 0 || round == rounds()) remove_runs(plan_, outcome.trial);
        }
        return "";
      });
    }
    on_first(run_.ranks(), [&] {
      finish();
      return "";
    });
  }

 private:
  int64_t rounds() const { return config_.search == Search::halving ? std::ssize(config_.budget.rounds()) : 1; }

  // Number of trials after a round, from 1.
  int64_t kept(int64_t round) const {
    return std::max<int64_t>(std::llround(std::ceil(static_cast<double>(settings_.size()) /
                                                    std::pow(config_.budget.factor, static_cast<double>(round)))),
                             1);
  }

  Trial trial_of(int64_t number, int64_t round) const {
    Trial trial = {number, settings_[number], round};
    if (config_.search == Search::halving) {
      trial.budget.emplace(config_.budget.field, fmt::format("{}", config_.budget.rounds()[round]));
    }
    return trial;
  }

  // Lower is better after this transformation; values that are not finite come last.
  double badness(const Outcome& outcome) const {
    const bool low = config_.goal == Goal::automatic ? lower_is_better(config_.metric) : config_.goal == Goal::minimize;
    const double value = outcome.mean();
    if (!std::isfinite(value)) return std::numeric_limits<double>::infinity();
    return low ? value : -value;
  }

  std::function<bool(const Outcome&, const Outcome&)> better() const {
    return [this](const Outcome& a, const Outcome& b) {
      return std::pair(badness(a), a.trial) < std::pair(badness(b), b.trial);
    };
  }

  std::vector<int64_t> best_trials(std::vector<Outcome> outcomes, int64_t count) const {
    std::ranges::sort(outcomes, better());
    std::vector<int64_t> trials;
    for (int64_t i = 0; i < std::min<int64_t>(count, std::ssize(outcomes)); i++) trials.push_back(outcomes[i].trial);
    std::ranges::sort(trials);
    return trials;
  }

  // Outcomes of all ranks.
  std::vector<Outcome> run_round(const std::vector<int64_t>& trials, int64_t round) {
    std::vector<Outcome> mine, all;
    const std::string counter = fmt::format("tune round {}", round);
    for (int64_t i; (i = run_.ranks().next(counter)) < std::ssize(trials);) {
      const Trial trial = trial_of(trials[i], round);
      mine.push_back(run_trial(plan_, trial));
      log_info("trial {}: {}: {} {:.6g}, {:.1f} s", trial.number, in_words(plan_, trial.settings), config_.metric,
               mine.back().mean(), mine.back().seconds);
    }
    for (const auto& text : run_.ranks().gather_on_first(to_text(mine))) {
      for (auto& outcome : outcomes_of(text)) all.push_back(std::move(outcome));
    }
    all = outcomes_of(run_.ranks().from_first(to_text(all)));
    std::ranges::sort(all, {}, &Outcome::trial);
    outcomes_.insert(outcomes_.end(), all.begin(), all.end());
    return all;
  }

  void finish() {
    std::vector<Outcome> last;
    std::ranges::copy_if(outcomes_, std::back_inserter(last),
                         [&](const Outcome& outcome) { return outcome.round == rounds() - 1; });
    const Outcome& best = *std::ranges::min_element(last, better());
    require(std::isfinite(best.mean()), "{}: {} of no trial is finite", config_.output, config_.metric);
    const auto settings = in_words(plan_, settings_[best.trial]);
    write_report(run_.folder(), plan_, settings_, outcomes_, best);
    run_.finish({}, {{plan_.split, {{config_.metric, best.mean()}, {"trial", static_cast<double>(best.trial)}}}});
    log_info("{}: best of {} trials is {}: {}, {} {:.6g}", config_.output, settings_.size(), best.trial, settings,
             config_.metric, best.mean());
  }

  const TuneConfig& config_;
  const TrialPlan plan_;
  Run& run_;
  const std::vector<Settings> settings_;
  std::vector<Outcome> outcomes_;  // of all rounds
};

}  // namespace

std::vector<int64_t> BudgetConfig::rounds() const {
  std::vector<int64_t> values;
  for (auto value = static_cast<double>(minimum); value < static_cast<double>(maximum); value *= factor) {
    const auto rounded = std::llround(value);
    if (values.empty() || rounded > values.back()) values.push_back(rounded);
  }
  if (values.empty() || values.back() < maximum) values.push_back(maximum);
  return values;
}

void TuneConfig::check() const {
  require(!space.empty(), "space is empty, expected one or more fields");
  std::vector<std::string> fields = {"output"};
  if (repeat) fields.push_back(repeat->field);
  if (search == Search::halving) fields.push_back(budget.field);
  for (const auto& parameter : space) {
    require(std::ranges::count(fields, parameter.field) == 0, "space has the field {}, which is {}",
            shown(parameter.field), parameter.field == "output" ? "set by tune" : "set already");
    fields.push_back(parameter.field);
  }
  require(!metric.empty(), "metric is empty, expected one such as rmse");
}

void tune(const TuneConfig& config, const std::vector<Task>& tasks, Run& run) {
  run.record("config_hash", datasets::sha256_file(config.config));
  Tuning(config, tasks, run)();
}

Task tune_task(std::vector<Task> others) {
  const auto body = [others = std::move(others)](const TuneConfig& config, Runtime&, Run& run) {
    tune(config, others, run);
  };
  return run_task<TuneConfig>("tune", Processes::sharing, "Searches for the best settings of another task's config.",
                              body, {"keep_runs"}, "round");
}

}  // namespace sartor
