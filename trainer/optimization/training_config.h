// What a YAML file may say about a training by gradients; names are those of Hugging Face's TrainingArguments.
#pragma once

#include <cstdint>
#include <string>

#include "engine/run_config.h"
#include "optimization/sampler.h"
#include "optimization/schedule.h"
#include "optimization/spikes.h"
#include "schema/fields.h"

namespace sartor {

struct AdamWConfig {
  double learning_rate = 5e-5;
  double weight_decay = 0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;

  template <class Fields> void describe(Fields& field) {
    field("learning_rate", learning_rate, at_least(0), "The greatest of the schedule.");
    field("weight_decay", weight_decay, at_least(0), "Decoupled; biases and LayerNorm weights do not decay.");
    field("adam_beta1", adam_beta1, between(0, 1), "Of the gradients' running mean.");
    field("adam_beta2", adam_beta2, between(0, 1), "Of their squares' running mean.");
    field("adam_epsilon", adam_epsilon, at_least(0), "Added to the root of the squares' mean.");
  }
};

struct EarlyStoppingConfig {
  int64_t patience = 0;
  double threshold = 0;

  template <class Fields> void describe(Fields& field) {
    field("patience", patience, at_least(0),
          "Evaluations without a better metric after which training ends; 0: never.");
    field("threshold", threshold, at_least(0), "By how much the metric must improve to count as better.");
  }
};

struct TrainingConfig : SamplerConfig, AdamWConfig, ScheduleConfig {
  int64_t num_train_epochs = 3;
  int64_t max_steps = 0;
  double max_grad_norm = 1;
  bool gradient_checkpointing = false;
  int64_t logging_steps = 50;
  IntervalStrategy eval_strategy = IntervalStrategy::epoch;
  int64_t eval_steps = 0;
  std::string metric_for_best_model = "loss";
  bool load_best_model_at_end = false;
  EarlyStoppingConfig early_stopping;
  SpikeConfig spike;

  template <class Fields> void describe(Fields& field) {
    field("num_train_epochs", num_train_epochs, at_least(1), "Passes over the training rows.");
    field("max_steps", max_steps, at_least(0), "Optimizer steps in all; if not 0 it is what counts.");
    SamplerConfig::describe(field);
    AdamWConfig::describe(field);
    ScheduleConfig::describe(field);
    field("max_grad_norm", max_grad_norm, at_least(0), "Gradients of a greater norm are scaled to it; 0: never.");
    field("gradient_checkpointing", gradient_checkpointing,
          "Whether a layer's activations are computed again in the backward pass, not kept: less memory, a third more "
          "products.");
    field("logging_steps", logging_steps, at_least(1), "Steps from one line of metrics.jsonl to the next.");
    field("eval_strategy", eval_strategy,
          "steps: an evaluation each eval_steps, epoch: after each; in both cases after the last step, too.");
    field("eval_steps", eval_steps, at_least(0), "Steps from one evaluation to the next; 0: as logging_steps.");
    field("metric_for_best_model", metric_for_best_model,
          "Metric of the evaluation by which models are compared: the least loss, log_loss, perplexity, "
          "calibration_error, rmse or mae, the greatest of any other.");
    field("load_best_model_at_end", load_best_model_at_end,
          "Whether the best of all evaluated models is the result, not the last.");
    field("early_stopping", early_stopping, "When to end before the last step.");
    field("spike", spike, "When the loss says that training has gone wrong.");
  }
  void check() const {
    require(eval_steps == 0 || eval_strategy == IntervalStrategy::steps,
            "eval_steps is {}, it is for eval_strategy: steps", eval_steps);
    require(eval_strategy != IntervalStrategy::no || (early_stopping.patience == 0 && !load_best_model_at_end),
            "eval_strategy is no: early_stopping and load_best_model_at_end need evaluations");
  }
};

}  // namespace sartor
