// Training metrics between two lines of metrics.jsonl.
#pragma once

#include <cstdint>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// One step over all ranks.
struct StepFigures {
  double loss = 0, learning_rate = 0, gradient_norm = 0;
  double seconds = 0;
  double rows = 0, tokens = 0;
  double padded_tokens = 0;  // tokens if each row were padded to the longest of its micro-batch
  double flops = 0;          // Learner::flops(); 0 if unknown
};

class Interval {
 public:
  void add(const StepFigures& step);

  // Metrics in this order; empty without steps. `peak` is the sum over all ranks, in FLOP/s (utilisation.h).
  //
  //   loss                 mean over the steps
  //   learning_rate        of the last step
  //   grad_norm            of the last step, before clipping
  //   samples_per_second   rows per second of step time, without evaluations and checkpoints
  //   tokens_per_second    tokens per second of step time
  //   padding_avoided      1 - tokens / padded_tokens: share of padding in padded batches, which packing avoids
  //   mfu                  model FLOP utilization (Chowdhery et al. 2022): flops / (seconds x peak); omitted if one of
  //                        them is unknown. Above 1 if other processes were running while the peak was measured
  std::vector<Metric> metrics(double peak) const;

 private:
  StepFigures last_, sum_;
  int64_t steps_ = 0;
};

}  // namespace sartor
