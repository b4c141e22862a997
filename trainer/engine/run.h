// A training run and its folder.
//
//   runs/NAME/  run.yaml         the complete config, including defaults
//               provenance.json  versions, data, number of processes, and time and command of each start
//               metrics.jsonl    one line per epoch or logging interval
//               checkpoints/     epoch-000012/ ... or step-000500/ ...
//               best/            step-000300/, if the best model is selected by evaluation
//               model/           the trained model
//               evaluation/      predictions for the held-out rows, if the task saves them
//               results.json     final metrics; exists once the run is complete
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/checkpoints.h"
#include "engine/run_config.h"
#include "engine/run_files.h"
#include "engine/scores.h"
#include "resume/claimed_folder.h"
#include "resume/start.h"
#include "runtime/collective.h"
#include "runtime/progress.h"
#include "schema/recorded_config.h"

namespace sartor {

// Settings of a run.
struct RunRequest {
  std::filesystem::path folder;
  RecordedConfig config;  // becomes run.yaml
  CheckpointConfig checkpoint = {};
  std::vector<std::string> may_change = {};  // fields or sections that --resume may change: "threads", "model.epochs"
  std::vector<std::string> command = {};     // recorded in provenance.json, like device
  std::string device = {};
  std::string unit = "epoch";   // what the run counts: "epoch" or "step"
  Collective* ranks = nullptr;  // the processes that train together; null: only this process
  Start start = {};
};

// A model that saves its complete state, including the optimizer, to an existing folder and restores it bit for bit.
template <class Model>
concept Checkpointable = requires(Model& model, const Model& trained, const std::filesystem::path& folder) {
  trained.save(folder);
  model.load(folder);
};

class Steps;

// Writes a run folder, from the start of training to the results. A run counts epochs or steps:
//
//   run.restore(model);
//   for (auto epoch : run.steps(config.epochs)) {
//     ... train ...
//     run.log(epoch, {{"validation", metrics}});
//     run.checkpoint(epoch, model);
//   }
//   run.finish(model, {{"test", metrics}});
//
// If the process is killed at any time, --resume continues from the newest checkpoint with the same results as an
// uninterrupted run. I/O errors are std::system_error with the path; earlier checkpoints are kept.
//
// With several ranks, each has a Run and makes the same calls. Only rank 0 writes; it sends its state and errors to the
// others.
//
// `torchrun --max-restarts` restarts all processes with the same command line when one of them dies. If the run folder
// was last written by the same launch, the run is resumed; otherwise the command line applies as usual.
class Run {
 public:
  // Locks the folder. A new folder has a temporary name until the first epoch begins, so that earlier errors leave
  // nothing behind. Throws std::invalid_argument if
  // - the folder exists and neither resume nor overwrite is set (overwrite renames it to NAME.1, or .2, ...);
  // - there is no run to resume, or its config differs in a field that is not in may_change;
  // - another process is writing to it.
  explicit Run(RunRequest request);

  Collective& ranks() { return ranks_; }  // the processes that train together

  // Whether the run already has results. A resumed run with a changed config is not complete.
  bool complete() const { return complete_; }

  // Records a property of the run's inputs ("data_hash") in provenance.json. Throws std::invalid_argument if a resumed
  // run began with a different value.
  void record(const std::string& name, const std::string& value);

  // Loads the newest checkpoint of a resumed run that is not damaged, with a warning for each damaged one. Does nothing
  // for a new run. If all are damaged, throws what loading the oldest one throws.
  void restore(Checkpointable auto& model) {
    use_newest([&](const auto& folder) { model.load(folder); });
  }

  // The remaining epochs or steps of 1 .. count, with progress on stderr. When any rank receives a stop signal
  // (signals.h), the current step is finished and saved, then Stopped is thrown. The loop may be left early by `break`.
  // Throws std::invalid_argument if the run has already done more than `count`. per_epoch: steps per epoch, for
  // checkpoints after each epoch.
  Steps steps(int64_t count, int64_t per_epoch = 1);
  // Current path of the folder, for files that a resumed run uses again. Empty on ranks other than 0.
  std::filesystem::path folder() const { return folder_ ? folder_->path() : std::filesystem::path(); }
  int64_t done() const { return state_.done; }  // epochs or steps completed before this process began

  // Appends {"epoch": 3, "seconds": 0.41, "validation": {...}} to metrics.jsonl; seconds since the previous line.
  void log(int64_t step, const Scores& scores);

  // Saves the state after `step` if a checkpoint is due and good() is true, and always after the last step and after a
  // stop signal. With checkpoint.every = 0 one is due if the time since the last one, or since the first step began, is
  // at least what rank 0 needed to save it. Before anything is saved, good() is called once, on every rank. `signal`:
  // the stop signal that any rank has received, or 0, if all ranks know it; otherwise they ask each other.
  void checkpoint(
      int64_t step, const Checkpointable auto& model, const std::function<bool()>& good = [] { return true; },
      std::optional<int> signal = {}) {
    if (checkpoint_due(step, good, signal)) save_checkpoint(step, [&](const auto& folder) { model.save(folder); });
  }

  // Saves the best model so far as best/step-000500/, replacing the previous one.
  void keep_best(int64_t step, const Save& save) {
    if (folder_) best_.save({.done = step}, save);
  }
  std::filesystem::path best(int64_t step) const { return best_.path_of(step); }

  // Replaces evaluation/ by the files that `save` writes.
  void keep_evaluation(const Save& save);

  // Replaces model/ by the files that `save_model`, if given, writes, then writes results.json:
  // {"test": {...}, "baselines": {"popularity": {...}}}.
  void finish(const Save& save_model, const Scores& scores, const Scores& baselines = {});
  void finish(const Checkpointable auto& model, const Scores& scores, const Scores& baselines = {}) {
    finish([&](const auto& folder) { model.save(folder); }, scores, baselines);
  }

 private:
  friend class Steps;

  std::string claim();
  void use_newest(const std::function<void(const std::filesystem::path& folder)>& use);
  void start_writing();
  nlohmann::ordered_json next_record() const;
  void end_step(int64_t step);
  bool checkpoint_due(int64_t step, const std::function<bool()>& good, std::optional<int> signal);
  void save_checkpoint(int64_t step, const Save& save);
  bool worth_saving();

  RunRequest request_;
  Alone alone_;
  Collective& ranks_;
  Claim claim_ = Claim::fresh;  // set on rank 0 only, like folder_
  std::optional<ClaimedFolder> folder_;
  Checkpoints checkpoints_, best_;
  std::vector<int64_t> resumable_;     // completed steps of the checkpoints to resume from, newest first
  RunState state_;                     // state at the first of them
  int64_t steps_ = 0, per_epoch_ = 1;  // steps in total and per epoch
  bool complete_ = false;
  std::vector<std::pair<std::string, std::string>> facts_;  // passed to record()
  int stopping_ = 0;                                        // the stop signal that checkpoint() saw, or 0
  std::optional<MetricsLog> metrics_;
  std::optional<Progress> progress_;
  std::string latest_;  // latest metrics, as shown by progress_
  std::chrono::steady_clock::time_point logged_;
  std::chrono::steady_clock::time_point saved_;      // end of the last checkpoint
  std::chrono::steady_clock::duration saving_ = {};  // duration of the last checkpoint
};

// Range of step numbers for a range-based for loop.
class Steps {
 public:
  class Iterator {
   public:
    Iterator(Run* run, int64_t step) : run_(run), step_(step) {}
    int64_t operator*() const { return step_; }
    Iterator& operator++() {
      run_->end_step(step_++);
      return *this;
    }
    bool operator==(const Iterator& other) const { return step_ == other.step_; }

   private:
    Run* run_;
    int64_t step_;
  };

  Steps(Run* run, int64_t first, int64_t last) : run_(run), first_(first), last_(last) {}
  Iterator begin() const { return {run_, first_}; }
  Iterator end() const { return {run_, last_ + 1}; }

 private:
  Run* run_;
  int64_t first_, last_;
};

}  // namespace sartor
