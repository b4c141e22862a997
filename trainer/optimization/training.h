// The training loop for gradient-based models, on any number of ranks.
#pragma once

#include "engine/run.h"
#include "optimization/learner.h"
#include "optimization/sampler.h"
#include "optimization/training_config.h"
#include "runtime/process_group.h"

namespace sartor {

// Number of steps of the whole training: max_steps if set, otherwise num_train_epochs times the steps per epoch.
int64_t total_steps(const TrainingConfig& config, const Sampler& sampler);

// When the host waits for the device. On an accelerator, it enqueues a step while the device computes the one before;
// the rows of the next steps are prepared and sent meanwhile. It waits before metrics are logged, evaluations and
// checkpoints. The result is the same up to rounding.
enum class Waiting {
  automatic,  // every step on the CPU, otherwise rarely
  every_step,
  rarely
};

// Trains until the last step or early stopping; writes evaluations, checkpoints and metrics to the run folder. Rows and
// random numbers of a step depend only on the seed and the step, so a resumed run gives bitwise the same result as an
// uninterrupted one. Throws std::runtime_error if the loss, the gradients or the parameters become non-finite, or if
// the loss spikes (SpikeConfig).
void train(const TrainingConfig& config, Learner& learner, ProcessGroup& ranks, Run& run,
           Waiting waiting = Waiting::automatic);

}  // namespace sartor
