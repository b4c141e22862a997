// What a YAML file may say about any run.
#pragma once

#include <array>
#include <string>

#include "runtime/runtime_config.h"

namespace sartor {

// When something is done that takes time, in a run that counts steps. Names are the Trainer's.
enum class IntervalStrategy { no, steps, epoch };
constexpr auto choices(IntervalStrategy) {
  return std::to_array<Choice<IntervalStrategy>>(
      {{"no", IntervalStrategy::no}, {"steps", IntervalStrategy::steps}, {"epoch", IntervalStrategy::epoch}});
}

struct CheckpointConfig {
  IntervalStrategy save_strategy = IntervalStrategy::steps;
  int64_t every = 1;
  int64_t keep = 2;

  template <class Fields> void describe(Fields& field) {
    field("every", every, at_least(1), "Epochs from one checkpoint to the next; the last epoch always has one.");
    field("keep", keep, at_least(1), "Newest checkpoints that stay on disk.");
  }
};

// The same for runs that count steps.
struct StepCheckpointConfig : CheckpointConfig {
  StepCheckpointConfig() { every = 500; }

  template <class Fields> void describe(Fields& field) {
    field("save_strategy", save_strategy,
          "steps: by `every`, epoch: after each. In any case where a signal stops the run, and after the last step.");
    field("every", every, at_least(1), "steps: from one checkpoint to the next.");
    field("keep", keep, at_least(1), "Newest checkpoints that stay on disk.");
  }
};

// The base of the config of each task that trains.
struct RunConfig : RuntimeConfig {
  std::string output;
  CheckpointConfig checkpoint;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field.required("output", output, file_path(),
                   "Folder of the run; it must not exist yet, unless --resume or --overwrite is given.");
    field("checkpoint", checkpoint, "What --resume continues from.");
  }
};

}  // namespace sartor
