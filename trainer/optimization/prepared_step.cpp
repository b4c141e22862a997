#include "optimization/prepared_step.h"

#include <algorithm>

namespace sartor {
namespace {

StepFigures figures_of(const Learner& learner, Sampler& sampler, int64_t step, int ranks) {
  const auto& lengths = learner.lengths();
  StepFigures figures;
  for (int rank = 0; rank < ranks; rank++) {
    for (const auto rows : sampler.micro_batches(step, rank)) {
      int32_t longest = 0;
      for (const auto row : rows) {
        figures.tokens += lengths[row];
        longest = std::max(longest, lengths[row]);
      }
      figures.rows += static_cast<double>(rows.size());
      figures.padded_tokens += static_cast<double>(rows.size()) * longest;
    }
  }
  figures.flops = learner.flops(sampler.step(step));
  return figures;
}

}  // namespace

PreparedStep prepare_step(const Learner& learner, Sampler& sampler, int64_t step, int rank, int ranks) {
  PreparedStep prepared = {.figures = figures_of(learner, sampler, step, ranks)};
  for (const auto rows : sampler.micro_batches(step, rank)) {
    const bool counts = !rows.empty();
    auto batch = learner.prepare(step, counts ? rows : sampler.step(step).first(1));
    if (counts) prepared.labels += batch->labels;
    prepared.micro_batches.push_back({std::move(batch), counts});
  }
  return prepared;
}

}  // namespace sartor
