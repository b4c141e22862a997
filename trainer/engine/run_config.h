// What a YAML file may say about any run.
#pragma once

#include <string>

#include "runtime/runtime_config.h"

namespace sartor {

struct CheckpointConfig {
  int64_t every = 1;
  int64_t keep = 2;

  template <class Fields> void describe(Fields& field) {
    field("every", every, at_least(1), "Epochs from one checkpoint to the next; the last epoch always has one.");
    field("keep", keep, at_least(1), "Newest checkpoints that stay on disk.");
  }
};

// The base of the config of each task that trains.
struct RunConfig : RuntimeConfig {
  std::string output;
  CheckpointConfig checkpoint;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field.required("output", output,
                   "Folder of the run; it must not exist yet, unless --resume or --overwrite is given.");
    field("checkpoint", checkpoint, "What --resume continues from.");
  }
};

}  // namespace sartor
