#include "decoding/sampling.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "decoding/rules.h"
#include "operations.h"

namespace sartor::cuda {
namespace {

void check_params(const SamplingParams& params) {
  // Beyond, logits or the scale 1 / temperature could overflow.
  constexpr float least = 1e-6f, most = 1e6f;
  require(params.temperature >= least && params.temperature <= most,
          "sample: temperature is {}, expected {} to {}; for the most probable token choose greedy", params.temperature,
          least, most);
  require(params.top_k >= 0, "sample: top_k is {}, expected 0 or more", params.top_k);
  require(params.top_p >= 0 && params.top_p <= 1, "sample: top_p is {}, expected 0 to 1", params.top_p);
  require(params.min_p >= 0 && params.min_p <= 1, "sample: min_p is {}, expected 0 to 1", params.min_p);
}

}  // namespace

void sample(Context& context, const SamplingTask& task) {
  const auto& [logits, model_logits, draws, params, ids, log_probabilities, sampled, append] = task;
  require(model_logits.rows == logits.rows && model_logits.columns == logits.columns,
          "sample: model_logits have {} x {} elements, logits {} x {}", model_logits.rows, model_logits.columns,
          logits.rows, logits.columns);
  if (!params.greedy) check_params(params);
  if (logits.rows == 0) return;
  require(logits.columns >= 1 && logits.columns <= most_logits, "sample: {} logits per row, expected 1 to {}",
          logits.columns, most_logits);
  require(params.greedy || draws, "sample: no draws, which sampling needs");
  require(ids, "sample: no array for the ids");
  require(!append.ids || append.lengths, "sample: no lengths of the histories to append to");
  const ProfilerRange range("sample");
  context.operations().sample(context, task);
}

}  // namespace sartor::cuda
