// What the tasks that train a BERT on tokenized texts have in common.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/run.h"
#include "models/transformer/precision.h"
#include "optimization/training_config.h"
#include "runtime/process_group.h"
#include "runtime/program.h"

namespace sartor {

struct TokenizedConfig {
  std::string path;

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, file_path(), "Tokenized HDF5 file (task: tokenize).");
  }
};

struct TextTrainingConfig {
  transformer::Precision precision = transformer::Precision::fp32;
  TrainingConfig training;
  int64_t per_device_eval_tokens = 8192;
  std::string output;
  StepCheckpointConfig checkpoint;
  int64_t ddp_timeout = 1800;

  template <class Fields> void describe(Fields& field) {
    field("precision", precision, among({transformer::Precision::fp32, transformer::Precision::bf16}),
          "Of activations and products; weights, gradients and losses stay fp32.");
    field("training", training, "How.");
    field("per_device_eval_tokens", per_device_eval_tokens, at_least(1), "Tokens of a batch when the model is judged.");
    field.required("output", output, file_path(),
                   "Folder of the run; it must not exist yet, unless --resume or --overwrite is given.");
    field("checkpoint", checkpoint, "What --resume continues from.");
    field("ddp_timeout", ddp_timeout, at_least(1), "Seconds that ranks wait for each other.");
  }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

// The processes that train together; throws as ProcessGroup does.
ProcessGroup join_ranks(const TextTrainingConfig& config, const Runtime& runtime);

// The run of a task whose whole config is `yaml`. Fields in `may_change` may differ under --resume, beside those that
// never matter to the model.
RunRequest run_request(const TextTrainingConfig& config, std::string yaml, const Runtime& runtime, ProcessGroup& ranks,
                       const Invocation& invocation, std::vector<std::string> may_change = {});

}  // namespace sartor
