// Config, setup and files shared by the tasks that train on tokenized texts.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/run.h"
#include "models/tensors/gpu_numerics.h"
#include "models/transformer/precision.h"
#include "optimization/training_config.h"
#include "runtime/process_group.h"
#include "runtime/program.h"
#include "storage/stored_texts.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor {

struct TokenizedConfig {
  std::string path;

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, file_path(), "Tokenized HDF5 file to train on, written by task tokenize.");
  }
};

struct TextTrainingConfig {
  transformer::Precision precision = transformer::Precision::fp32;
  bool deterministic = false;
  TrainingConfig training;
  int64_t per_device_eval_tokens = 8192;
  std::string output;
  StepCheckpointConfig checkpoint;
  int64_t ddp_timeout = 1800;

  template <class Fields> void describe(Fields& field) {
    using enum transformer::Precision;
    field(
        "precision", precision, among({fp32, tf32, bf16}),
        "Data type of activations and matrix products. Weights, gradients and losses are always fp32. tf32: fp32, but "
        "matrix products on a GPU use tensor cores, which round inputs to 10 bits of mantissa; on a CPU the same as "
        "fp32.");
    field(
        "deterministic", deterministic,
        "On a GPU, use only algorithms that give the same bits each time, with the same GPUs, number of processes and "
        "libraries. Slower, above all the backward pass of attention and of embeddings. An operator without such an "
        "algorithm is an error. Training on a CPU is always deterministic.");
    field("training", training, "Optimizer, learning rate schedule, batches and evaluation during training.");
    field("per_device_eval_tokens", per_device_eval_tokens, at_least(1),
          "Maximum number of tokens per batch and process in evaluation.");
    field.required("output", output, file_path(),
                   "Run folder to write. It must not exist unless --resume or --overwrite is given.");
    field("checkpoint", checkpoint, "Checkpoints, from which --resume continues.");
    field("ddp_timeout", ddp_timeout, at_least(1),
          "Timeout of collective operations between processes, in seconds; the run fails after it.");
  }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
  NumericsOptions numerics() const {
    return {.tf32 = precision == transformer::Precision::tf32, .deterministic = deterministic};
  }
  at::ScalarType compute_type() const { return precision == transformer::Precision::bf16 ? at::kBFloat16 : at::kFloat; }
};

// Calls make_runtime() for libtorch with the settings that must precede it.
Runtime start_runtime(const RuntimeConfig& config, const TextTrainingConfig& training);

// Joins the processes of the run: this one if it trains alone. Throws what the constructor of ProcessGroup throws.
ProcessGroup join_ranks(const TextTrainingConfig& config, const Runtime& runtime, const Invocation& invocation);

// recorded: the complete config of the task. may_change: fields that may differ under --resume, in addition to those
// that never affect the model (device, threads, ...).
RunRequest run_request(const TextTrainingConfig& config, RecordedConfig recorded, const Runtime& runtime,
                       ProcessGroup& ranks, const Invocation& invocation, std::vector<std::string> may_change = {});

// Loads the tokenizer of a folder. Throws std::invalid_argument if `data`, read from `path`, was made with a different
// one.
text::TokenizerSpec tokenizer_of(const std::string& folder, const datasets::TokenizedTexts& data,
                                 const std::string& path);

// Size of the vocabulary of a new model: the highest token id plus 1.
int64_t vocabulary_size(const text::TokenizerSpec& tokenizer);

// Hash of the weights in a Hugging Face folder.
std::string weights_hash(const std::filesystem::path& folder);

// Writes the tokenizer files, and input.json, which records how the texts of `data` were prepared. longest_sequence:
// that of the model. tokenizer_class: see text::write_tokenizer.
void save_input(const text::TokenizerSpec& tokenizer, const datasets::TokenizedTexts& data, int64_t longest_sequence,
                std::string_view tokenizer_class, const std::filesystem::path& folder);

}  // namespace sartor
