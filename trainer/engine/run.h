// A training run and its folder.
//
//   runs/NAME/  run.yaml         the config, every value, defaults filled
//               provenance.json  versions, data, processes, and each start with its time and command
//               metrics.jsonl    a line an epoch
//               checkpoints/     epoch-000012/ ...
//               model/           the trained model, and
//               results.json     its final metrics, once the run is complete
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/checkpoints.h"
#include "engine/run_config.h"
#include "engine/run_files.h"
#include "metrics/metric.h"
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
  int world_size = 1;
  bool resume = false;
  bool overwrite = false;
};

// Metrics by what they are of: {{"test", {{"rmse", 0.91}, {"mae", 0.72}}}}. What is not finite is written as null.
using Scores = std::vector<std::pair<std::string, std::vector<Metric>>>;

// A model whose whole state, optimizer and all, goes into a folder that exists, and comes back bit for bit.
template <class Model>
concept Checkpointable = requires(Model& model, const Model& trained, const std::filesystem::path& folder) {
  trained.save(folder);
  model.load(folder);
};

class Epochs;

// The one writer of a run folder, from the start of training to its results:
//
//   run.restore(model);
//   for (auto epoch : run.epochs(config.epochs)) {
//     ... train ...
//     run.log(epoch, {{"validation", metrics}});
//     run.checkpoint(epoch, model);
//   }
//   run.finish(model, {{"test", metrics}});
//
// A process that is killed at any moment leaves a folder that --resume continues as if nothing had happened, from its
// newest checkpoint. Failures of the disk are std::system_error with the path; what was saved before them stays.
class Run {
 public:
  // Claims the folder. A new one is made aside and takes its name with the first epoch, so that a mistake found before
  // leaves nothing. Throws std::invalid_argument where
  // - the folder exists, and neither resume nor overwrite is asked for (overwrite makes it NAME.1, or .2, ...);
  // - there is no run to resume, or its config differs in a field outside may_change;
  // - another process is writing to it.
  explicit Run(RunRequest request);

  // The results are there: nothing is left to do. A resumed run whose config was changed is not complete.
  bool complete() const;

  // Notes a fact about the run's origin ("data_hash") in provenance.json. Throws std::invalid_argument if a resumed run
  // began with another value.
  void record(const std::string& name, const std::string& value);

  // Loads the newest checkpoint of a resumed run; otherwise leaves the model as it is.
  void restore(Checkpointable auto& model) {
    if (resumed_from_) model.load(*resumed_from_);
  }

  // The epochs still to be done, of 1 .. count, with progress on stderr. On SIGINT or SIGTERM the epoch under way is
  // finished and saved, then Stopped is thrown. Throws std::invalid_argument if the run has done more than `count`.
  Epochs epochs(int64_t count);

  // Appends {"epoch": 3, "seconds": 0.41, "validation": {...}} to metrics.jsonl, seconds since the line before.
  void log(int64_t epoch, const Scores& scores);

  // Saves the state after `epoch` if it is due, the last, or a signal asked to stop.
  void checkpoint(int64_t epoch, const Checkpointable auto& model) {
    if (checkpoint_due(epoch)) save_checkpoint(epoch, [&](const auto& folder) { model.save(folder); });
  }

  // Writes what `save_model` puts into model/, then results.json: {"test": {...}, "baselines": {"popularity": {...}}}.
  void finish(const Save& save_model, const Scores& scores, const Scores& baselines = {});
  void finish(const Checkpointable auto& model, const Scores& scores, const Scores& baselines = {}) {
    finish([&](const auto& folder) { model.save(folder); }, scores, baselines);
  }

 private:
  friend class Epochs;

  void start_writing();
  void end_epoch(int64_t epoch);
  bool checkpoint_due(int64_t epoch);
  void save_checkpoint(int64_t epoch, const Save& save);

  const RunRequest request_;
  RunFolder folder_;
  Checkpoints checkpoints_;
  std::optional<std::filesystem::path> resumed_from_;  // checkpoint
  RunState state_;                                     // of the last checkpoint
  int64_t epochs_ = 0;                                 // in all
  bool config_changed_ = false;
  std::vector<std::pair<std::string, std::string>> facts_;  // recorded
  int stopping_ = 0;                                        // signal that checkpoint() saw
  std::optional<MetricsLog> metrics_;
  std::optional<Progress> progress_;
  std::string latest_;  // metrics, as progress shows them
  std::chrono::steady_clock::time_point logged_;
};

// What a for loop walks over: the numbers of the epochs.
class Epochs {
 public:
  class Iterator {
   public:
    Iterator(Run* run, int64_t epoch) : run_(run), epoch_(epoch) {}
    int64_t operator*() const { return epoch_; }
    Iterator& operator++() {
      run_->end_epoch(epoch_++);
      return *this;
    }
    bool operator==(const Iterator& other) const { return epoch_ == other.epoch_; }

   private:
    Run* run_;
    int64_t epoch_;
  };

  Epochs(Run* run, int64_t first, int64_t last) : run_(run), first_(first), last_(last) {}
  Iterator begin() const { return {run_, first_}; }
  Iterator end() const { return {run_, last_ + 1}; }

 private:
  Run* run_;
  int64_t first_, last_;
};

}  // namespace sartor
