#include "engine/judgement.h"

#include <cmath>

namespace sartor {

bool Judgement::take(const Metric& metric, double threshold, int64_t step) {
  const double sign = lower_is_better(metric.name) ? -1 : 1;
  const bool better = std::isfinite(metric.value) && (!best || sign * (metric.value - *best) > threshold);
  without_better = better ? 0 : without_better + 1;
  if (better) {
    best = metric.value;
    best_step = step;
  }
  return better;
}

Record Judgement::record() const {
  Record record = {{"best_step", best_step}, {"without_better", without_better}};
  if (best) record["best"] = *best;
  return record;
}

Judgement Judgement::of(const Record& record) {
  Judgement judgement = {.best_step = record.at("best_step"), .without_better = record.at("without_better")};
  if (record.contains("best")) judgement.best = record.at("best").get<double>();
  return judgement;
}

}  // namespace sartor
