// Config fields that every training task has.
#pragma once

#include <array>
#include <string>

#include "runtime/runtime_config.h"

namespace sartor {

// When to save or evaluate in a run that counts steps. Names as in the Trainer of transformers.
enum class IntervalStrategy { no, steps, epoch };
constexpr auto choices(IntervalStrategy) {
  return std::to_array<Choice<IntervalStrategy>>(
      {{"no", IntervalStrategy::no}, {"steps", IntervalStrategy::steps}, {"epoch", IntervalStrategy::epoch}});
}

struct CheckpointConfig {
  IntervalStrategy save_strategy = IntervalStrategy::steps;
  int64_t every = 0;
  int64_t keep = 2;

  template <class Fields> void describe(Fields& field) {
    field(
        "every", every, at_least(0),
        "Epochs between checkpoints. 0: a checkpoint is saved as soon as the time since the last one is at least what "
        "that one took to save, so that saving never takes longer than training. The last epoch is always saved.");
    field("keep", keep, at_least(1), "Number of checkpoints to keep on disk; older ones are deleted.");
  }
};

// CheckpointConfig for runs that count steps.
struct StepCheckpointConfig : CheckpointConfig {
  StepCheckpointConfig() { every = 500; }

  template <class Fields> void describe(Fields& field) {
    field(
        "save_strategy", save_strategy,
        "When to save checkpoints. no: only at the end; steps: every `every` steps; epoch: after each epoch. The last "
        "step is always saved, and the current step if a signal stops the run.");
    field("every", every, at_least(1), "Steps between checkpoints, with save_strategy steps.");
    field("keep", keep, at_least(1), "Number of checkpoints to keep on disk; older ones are deleted.");
  }
};

// Base of the configs of tasks that count epochs.
struct RunConfig : RuntimeConfig {
  std::string output;
  CheckpointConfig checkpoint;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field.required("output", output, file_path(),
                   "Run folder to write. It must not exist unless --resume or --overwrite is given.");
    field("checkpoint", checkpoint, "Checkpoints, from which --resume continues.");
  }
};

}  // namespace sartor
