// What the steps of a training were like between two lines of metrics.jsonl.
#pragma once

#include <cstdint>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// One step, all ranks together.
struct StepFigures {
  double loss = 0, learning_rate = 0, gradient_norm = 0;
  double seconds = 0;
  double rows = 0, tokens = 0;
  double padded_tokens = 0;  // of the same micro-batches, each row padded to the longest of its own
  double flops = 0;          // Learner::flops(); 0: unknown
};

class Interval {
 public:
  void add(const StepFigures& step);

  // peak: of all ranks together, in FLOP/s (utilisation.h). In this order:
  //
  //   loss                 mean over the steps
  //   learning_rate        of the last step
  //   grad_norm            of the last step, before clipping
  //   samples_per_second   rows and
  //   tokens_per_second    tokens over the seconds that the steps took; evaluations and checkpoints are not in them
  //   padding_avoided      1 - tokens / padded_tokens: the share of padded batches that would be padding. Ours are
  //                        packed, so that nothing is spent on it
  //   mfu                  model FLOP utilisation (Chowdhery et al. 2022): the model's operations over seconds x peak;
  //                        left out where one of them is unknown. Above 1 it says that something else kept the machine
  //                        busy while the peak was measured
  //
  // Without steps there are none.
  std::vector<Metric> metrics(double peak) const;

 private:
  StepFigures last_, sum_;
  int64_t steps_ = 0;
};

}  // namespace sartor
