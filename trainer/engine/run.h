// A training run and its folder.
//
//   runs/NAME/  run.yaml         the config, every value, defaults filled
//               provenance.json  versions, data, processes, and each start with its time and command
//               metrics.jsonl    a line an epoch, or every some steps
//               checkpoints/     epoch-000012/ ... or step-000500/ ...
//               best/            step-000300/, where evaluations choose the model
//               model/           the trained model,
//               evaluation/      what it says of the held-out rows, where the task keeps that, and
//               results.json     its final metrics, once the run is complete
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

namespace sartor {

// What is to be run, and where.
struct RunRequest {
  std::filesystem::path folder;
  std::string config;  // becomes run.yaml
  CheckpointConfig checkpoint = {};
  std::vector<std::string> may_change = {};  // under --resume; fields or sections: "threads", "model.epochs"
  std::vector<std::string> command = {};     // for provenance.json, as the next two
  std::string device = {};
  std::string unit = "epoch";   // what the run counts: that, or "step"
  Collective* ranks = nullptr;  // that train together; null: this process alone
  Start start = {};
};

// A model whose whole state, optimizer and all, goes into a folder that exists, and comes back bit for bit.
template <class Model>
concept Checkpointable = requires(Model& model, const Model& trained, const std::filesystem::path& folder) {
  trained.save(folder);
  model.load(folder);
};

class Steps;

// The one writer of a run folder, from the start of training to its results. What it counts are epochs or steps:
//
//   run.restore(model);
//   for (auto epoch : run.steps(config.epochs)) {
//     ... train ...
//     run.log(epoch, {{"validation", metrics}});
//     run.checkpoint(epoch, model);
//   }
//   run.finish(model, {{"test", metrics}});
//
// A process that is killed at any moment leaves a folder that --resume continues as if nothing had happened, from its
// newest checkpoint. Failures of the disk are std::system_error with the path; what was saved before them stays.
//
// Several ranks each have a Run and make the same calls; the first alone writes, and tells the others what it found or
// why it stops.
//
// Under `torchrun --max-restarts` all processes are started again, with the same words, when one of them dies. The run
// is continued then if it is this launch's own: its folder says which launch wrote to it last. If there is none yet, or
// it is another's, the words mean what they always do.
class Run {
 public:
  // Claims the folder. A new one is made aside and takes its name with the first epoch, so that a mistake found before
  // leaves nothing. Throws std::invalid_argument where
  // - the folder exists, and neither resume nor overwrite is asked for (overwrite makes it NAME.1, or .2, ...);
  // - there is no run to resume, or its config differs in a field outside may_change;
  // - another process is writing to it.
  explicit Run(RunRequest request);

  // The results are there: nothing is left to do. A resumed run whose config was changed is not complete.
  bool complete() const { return complete_; }

  // Notes a fact about the run's origin ("data_hash") in provenance.json. Throws std::invalid_argument if a resumed run
  // began with another value.
  void record(const std::string& name, const std::string& value);

  // Loads the newest checkpoint of a resumed run, or, with a warning, the newest one that is not damaged; otherwise
  // leaves the model as it is. Throws what loading the last of them throws.
  void restore(Checkpointable auto& model) {
    use_newest([&](const auto& folder) { model.load(folder); });
  }

  // The epochs or steps still to be done, of 1 .. count, with progress on stderr. When a stop signal (signals.h)
  // reaches any rank, the step under way is finished and saved, then Stopped is thrown. A loop that ends early by
  // `break` is done. Throws std::invalid_argument if the run has done more than `count`. per_epoch: steps, for
  // checkpoints by epochs.
  Steps steps(int64_t count, int64_t per_epoch = 1);
  int64_t done() const { return state_.done; }  // when this process began

  // Appends {"epoch": 3, "seconds": 0.41, "validation": {...}} to metrics.jsonl, seconds since the line before.
  void log(int64_t step, const Scores& scores);

  // Saves the state after `step` if it is due and `good`, the last, or a signal asked to stop.
  void checkpoint(int64_t step, const Checkpointable auto& model, bool good = true) {
    if (checkpoint_due(step, good)) save_checkpoint(step, [&](const auto& folder) { model.save(folder); });
  }

  // Keeps what `save` makes as the best model so far, of `step`, instead of the one before: best/step-000500/.
  void keep_best(int64_t step, const Save& save) {
    if (folder_) best_.save({.done = step}, save);
  }
  std::filesystem::path best(int64_t step) const { return best_.path_of(step); }

  // Writes what `save` puts into evaluation/, instead of what was there.
  void keep_evaluation(const Save& save);

  // Writes what `save_model` puts into model/, then results.json: {"test": {...}, "baselines": {"popularity": {...}}}.
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
  bool checkpoint_due(int64_t step, bool good);
  void save_checkpoint(int64_t step, const Save& save);

  RunRequest request_;
  Alone alone_;
  Collective& ranks_;
  Claim claim_ = Claim::fresh;  // the first rank's, as the next
  std::optional<ClaimedFolder> folder_;
  Checkpoints checkpoints_, best_;
  std::vector<int64_t> resumable_;     // what the checkpoints to resume from have done, the newest first
  RunState state_;                     // of the first of them
  int64_t steps_ = 0, per_epoch_ = 1;  // in all, of an epoch
  bool complete_ = false;
  std::vector<std::pair<std::string, std::string>> facts_;  // recorded
  int stopping_ = 0;                                        // signal that checkpoint() saw
  std::optional<MetricsLog> metrics_;
  std::optional<Progress> progress_;
  std::string latest_;  // metrics, as progress shows them
  std::chrono::steady_clock::time_point logged_;
};

// What a for loop walks over: the numbers of the steps.
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
