// Config of gradient-based training. Names follow Hugging Face's TrainingArguments.
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
    field("learning_rate", learning_rate, at_least(0), "Peak learning rate of the schedule.");
    field("weight_decay", weight_decay, at_least(0),
          "Decoupled weight decay (AdamW); not applied to biases and LayerNorm weights.");
    field("adam_beta1", adam_beta1, between(0, 1), "Decay rate of the gradient average.");
    field("adam_beta2", adam_beta2, between(0, 1), "Decay rate of the squared-gradient average.");
    field("adam_epsilon", adam_epsilon, at_least(0),
          "Added to the square root of the squared-gradient average, for numerical stability.");
  }
};

struct EarlyStoppingConfig {
  int64_t patience = 0;
  double threshold = 0;

  template <class Fields> void describe(Fields& field) {
    field(
        "patience", patience, at_least(0),
        "Number of consecutive evaluations without improvement after which training stops; 0 disables early stopping.");
    field("threshold", threshold, at_least(0), "Smallest change of the metric that counts as an improvement.");
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
    field("max_steps", max_steps, at_least(0), "Total number of optimizer steps; overrides num_train_epochs if not 0.");
    SamplerConfig::describe(field);
    AdamWConfig::describe(field);
    ScheduleConfig::describe(field);
    field("max_grad_norm", max_grad_norm, at_least(0),
          "Gradient clipping: largest norm over all parameters; 0 disables it.");
    field("gradient_checkpointing", gradient_checkpointing,
          "Recompute activations in the backward pass instead of storing them: less memory, about a third more "
          "computation.");
    field("logging_steps", logging_steps, at_least(1), "Steps between lines of metrics.jsonl.");
    field("eval_strategy", eval_strategy,
          "When to evaluate: after every eval_steps steps, after every epoch, or never (no). steps and epoch also "
          "evaluate "
          "after the last step.");
    field("eval_steps", eval_steps, at_least(0), "Steps between evaluations; 0 uses logging_steps.");
    field("metric_for_best_model", metric_for_best_model,
          "Validation metric that selects the best model: lower is better for loss, log_loss, perplexity, "
          "bits_per_byte, calibration_error, rmse and mae, higher for all others.");
    field("load_best_model_at_end", load_best_model_at_end,
          "Use the best evaluated model as the result instead of the last one.");
    field("early_stopping", early_stopping, "Stops training before the last step if the metric no longer improves.");
    field("spike", spike, "Stops training if the loss diverges.");
  }
  void check() const {
    require(eval_steps == 0 || eval_strategy == IntervalStrategy::steps,
            "eval_steps is {}, which requires eval_strategy: steps", eval_steps);
    require(eval_strategy != IntervalStrategy::no || (early_stopping.patience == 0 && !load_best_model_at_end),
            "eval_strategy is no, but early_stopping and load_best_model_at_end require evaluations");
  }
};

}  // namespace sartor
