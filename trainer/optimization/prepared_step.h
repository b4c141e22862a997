// The rows of an optimizer step on one rank, ready to compute.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "optimization/interval.h"
#include "optimization/learner.h"
#include "optimization/sampler.h"

namespace sartor {

struct MicroBatch {
  std::unique_ptr<Batch> batch;
  bool counts = true;  // false on a rank without rows, which contributes zero gradients of any row to the all-reduce
};

struct PreparedStep {
  std::vector<MicroBatch> micro_batches;
  double labels = 0;    // of the micro-batches that count
  StepFigures figures;  // those that depend only on the rows, for all ranks
};

// `rank` of `ranks`. Uses no tensor of the model. May run on another thread than the one that trains, which then must
// not use the sampler.
PreparedStep prepare_step(const Learner& learner, Sampler& sampler, int64_t step, int rank, int ranks);

}  // namespace sartor
