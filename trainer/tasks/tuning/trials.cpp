#include "tasks/tuning/trials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <system_error>

#include "base/require.h"
#include "resume/record.h"
#include "runtime/signals.h"
#include "schema/document.h"
#include "schema/messages.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;

// While it exists, what the process writes to stdout and stderr is appended to a file.
class OutputTo {
 public:
  explicit OutputTo(const fs::path& path) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) throw std::system_error(errno, std::generic_category(), path.string());
    for (int stream : {STDOUT_FILENO, STDERR_FILENO}) {
      flush();
      before_[stream - STDOUT_FILENO] = fcntl(stream, F_DUPFD_CLOEXEC, 3);
      dup2(file, stream);
    }
    close(file);
  }
  ~OutputTo() {
    flush();
    for (int stream : {STDOUT_FILENO, STDERR_FILENO}) {
      const int before = before_[stream - STDOUT_FILENO];
      if (before < 0) continue;
      dup2(before, stream);
      close(before);
    }
  }
  OutputTo(const OutputTo&) = delete;
  OutputTo& operator=(const OutputTo&) = delete;

 private:
  static void flush() {
    std::fflush(stdout);
    std::fflush(stderr);
  }
  int before_[2] = {-1, -1};
};

fs::path trials_folder(const TrialPlan& plan) { return plan.folder / "trials"; }

fs::path run_folder(const TrialPlan& plan, int64_t trial, size_t repeat) {
  const std::string suffix = plan.repeats.size() > 1 ? fmt::format("-{}", repeat) : "";
  return trials_folder(plan) / fmt::format("{:04}{}", trial, suffix);
}

fs::path record_path(const TrialPlan& plan, const Trial& trial) {
  return trials_folder(plan) / fmt::format("{:04}-round-{}.json", trial.number, trial.round + 1);
}

fs::path log_path(const fs::path& run) { return run.string() + ".log"; }

std::vector<std::string> changes_of(const TrialPlan& plan, const Settings& settings) {
  std::vector<std::string> changes = plan.changes;
  for (size_t i = 0; i < settings.size(); i++) changes.push_back(plan.fields[i] + "=" + settings[i]);
  return changes;
}

YamlNode document_of(const TrialPlan& plan, const Trial& trial, size_t repeat) {
  auto changes = changes_of(plan, trial.settings);
  if (!plan.repeated.empty()) changes.push_back(plan.repeated + "=" + plan.repeats[repeat]);
  if (trial.budget) changes.push_back(trial.budget->first + "=" + trial.budget->second);
  YamlNode document = load_document(plan.config, changes);
  std::erase_if(document.children, [](const YamlNode& child) { return child.key == "output"; });
  document.children.push_back({.kind = YamlNode::Kind::scalar,
                               .scalar = run_folder(plan, trial.number, repeat).string(),
                               .quoted = true,
                               .key = "output",
                               .where = plan.config});
  return document;
}

const Task& task_of(const TrialPlan& plan, const YamlNode& document) {
  std::vector<std::string_view> names;
  for (const auto& task : plan.tasks) names.push_back(task.name);
  return *std::ranges::find(plan.tasks, read_choice(document, "task", names), &Task::name);
}

double read_metric(const TrialPlan& plan, const fs::path& run) {
  const auto path = run / "results.json";
  double value = std::numeric_limits<double>::quiet_NaN();
  read_record(path, [&](const Record& results) {
    const auto split = results.find(plan.split);
    require(split != results.end(), "{}: has no metrics of the {} split", path.string(), plan.split);
    const auto metric = split->find(plan.metric);
    std::vector<std::string_view> names;
    for (const auto& [name, each] : split->items()) names.push_back(name);
    require(metric != split->end(), "{}: metric is {}, expected {}", path.string(), shown(plan.metric), either(names));
    if (metric->is_number()) value = metric->get<double>();
  });
  return value;
}

// Trains a model and returns its metric.
double train(const TrialPlan& plan, const Trial& trial, size_t repeat) {
  const fs::path run = run_folder(plan, trial.number, repeat);
  const YamlNode document = document_of(plan, trial, repeat);
  {
    const OutputTo log(log_path(run));
    task_of(plan, document)
        .run({.command = {"tune"},
              .config = plan.config,
              .document = document,
              .resume = fs::exists(run / "provenance.json"),
              .alone = true});
  }
  return read_metric(plan, run);
}

Record to_json(const Outcome& outcome) {
  Record values = Record::array();  // not finite: null
  for (const double value : outcome.values) values.push_back(value);
  return {{"trial", outcome.trial},
          {"round", outcome.round},
          {"budget", outcome.budget},
          {"values", std::move(values)},
          {"seconds", outcome.seconds}};
}

Outcome outcome_of(const Record& record) {
  Outcome outcome = {record.at("trial"), record.at("round"), record.at("budget"), {}, record.at("seconds")};
  for (const auto& value : record.at("values")) {
    outcome.values.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  }
  return outcome;
}

}  // namespace

double Outcome::mean() const {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double Outcome::deviation() const {
  double squares = 0;
  for (const double value : values) squares += std::pow(value - mean(), 2);
  return values.size() < 2 ? 0 : std::sqrt(squares / static_cast<double>(values.size() - 1));
}

void check_trial(const TrialPlan& plan, const Trial& trial) {
  for (size_t repeat = 0; repeat < plan.repeats.size(); repeat++) {
    const YamlNode document = document_of(plan, trial, repeat);
    const Task& task = task_of(plan, document);
    const auto outputs = task.outputs(document);
    require(outputs.size() == 1 && outputs[0].folder, "{}: task {} does not write a run folder, which tune requires",
            plan.config, task.name);
  }
}

Outcome run_trial(const TrialPlan& plan, const Trial& trial) {
  const auto path = record_path(plan, trial);
  Outcome outcome = {trial.number, trial.round, trial.budget ? trial.budget->second : ""};
  if (fs::exists(path)) {
    read_record(path, [&](const Record& record) { outcome = outcome_of(record); });
    return outcome;
  }
  fs::create_directories(trials_folder(plan));
  const auto start = std::chrono::steady_clock::now();
  try {
    for (size_t repeat = 0; repeat < plan.repeats.size(); repeat++) {
      outcome.values.push_back(train(plan, trial, repeat));
    }
  } catch (const Stopped& stopped) {
    throw Stopped(stopped.signal, fmt::format("stopped by {} in trial {}: --resume continues {}",
                                              signal_name(stopped.signal), trial.number, plan.folder.string()));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(
        fmt::format("trial {} ({}): {}", trial.number, in_words(plan, trial.settings), error.what()));
  }
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  write_record(path, to_json(outcome));
  return outcome;
}

void remove_runs(const TrialPlan& plan, int64_t trial) {
  if (plan.keep_runs) return;
  for (size_t repeat = 0; repeat < plan.repeats.size(); repeat++) {
    const auto run = run_folder(plan, trial, repeat);
    fs::remove_all(run);
    fs::remove(log_path(run));
  }
}

std::string in_words(const TrialPlan& plan, const Settings& settings) {
  std::vector<std::string> words;
  for (size_t i = 0; i < settings.size(); i++) words.push_back(plan.fields[i] + "=" + settings[i]);
  return fmt::format("{}", fmt::join(words, " "));
}

YamlNode tuned_config(const TrialPlan& plan, const Settings& settings) {
  std::vector<std::string> changes;
  for (size_t i = 0; i < settings.size(); i++) changes.push_back(plan.fields[i] + "=" + settings[i]);
  return load_document(plan.config, changes);
}

std::string to_text(const std::vector<Outcome>& outcomes) {
  Record all = Record::array();
  for (const auto& outcome : outcomes) all.push_back(to_json(outcome));
  return to_text(all);
}

std::vector<Outcome> outcomes_of(const std::string& text) {
  std::vector<Outcome> outcomes;
  for (const auto& record : Record::parse(text)) outcomes.push_back(outcome_of(record));
  return outcomes;
}

}  // namespace sartor
