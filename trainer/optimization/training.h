// The loop of a training by gradients: the same for any model and any number of ranks.
#pragma once

#include "engine/run.h"
#include "optimization/learner.h"
#include "optimization/sampler.h"
#include "optimization/training_config.h"
#include "runtime/process_group.h"

namespace sartor {

// Steps of the whole training: of max_steps, or of the epochs.
int64_t total_steps(const TrainingConfig& config, const Sampler& sampler);

// Trains until the last step or early stopping, with evaluations, checkpoints and metrics in the run folder. With the
// same seed a resumed training ends with the same bits as an uninterrupted one: rows and random numbers of a step
// follow from the seed and the step alone. Throws std::runtime_error when the loss or the gradients are no longer
// finite, and when the loss spikes (SpikeConfig).
void train(const TrainingConfig& config, Learner& learner, ProcessGroup& ranks, Run& run);

}  // namespace sartor
