#include "optimization/interval.h"

namespace sartor {

void Interval::add(const StepFigures& step) {
  last_ = step;
  steps_++;
  sum_.loss += step.loss;
  sum_.seconds += step.seconds;
  sum_.rows += step.rows;
  sum_.tokens += step.tokens;
  sum_.padded_tokens += step.padded_tokens;
  sum_.flops += step.flops;
}

std::vector<Metric> Interval::metrics(double peak) const {
  if (steps_ == 0) return {};
  std::vector<Metric> found = {{"loss", sum_.loss / static_cast<double>(steps_)},
                               {"learning_rate", last_.learning_rate},
                               {"grad_norm", last_.gradient_norm},
                               {"samples_per_second", sum_.rows / sum_.seconds},
                               {"tokens_per_second", sum_.tokens / sum_.seconds},
                               {"padding_avoided", 1 - sum_.tokens / sum_.padded_tokens}};
  if (sum_.flops > 0 && peak > 0) found.push_back({"mfu", sum_.flops / (sum_.seconds * peak)});
  return found;
}

}  // namespace sartor
