// The best evaluation of a run so far, on which early stopping depends.
#pragma once

#include <cstdint>
#include <optional>

#include "metrics/metric.h"
#include "resume/record.h"

namespace sartor {

struct Judgement {
  std::optional<double> best;  // value of the metric
  int64_t best_step = 0;
  int64_t without_better = 0;  // evaluations since the best one

  // Takes the evaluation after `step`. Returns whether it is the best so far: the first finite value, or one that is
  // better by more than `threshold`.
  bool take(const Metric& metric, double threshold, int64_t step);

  // The members "best_step", "without_better" and, unless there is no best evaluation, "best".
  Record record() const;
  static Judgement of(const Record& record);
};

}  // namespace sartor
