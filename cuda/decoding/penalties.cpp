#include "decoding/penalties.h"

#include <cmath>

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

bool changes_logits(const PenaltyParams& params, const BannedTokens& banned, int64_t ends) {
  return params.repetition != 1 || params.presence != 0 || params.frequency != 0 || params.no_repeat_ngram > 0 ||
         banned.count > 0 || (params.min_new_tokens > 0 && ends > 0);
}

void penalize(Context& context, const PenaltyTask& task) {
  const auto& [logits, history, last, params, banned, end_ids, ends, processed] = task;
  require(processed.rows == logits.rows && processed.columns == logits.columns,
          "penalize: processed has {} x {} elements, logits {} x {}", processed.rows, processed.columns, logits.rows,
          logits.columns);
  require(std::isfinite(params.repetition) && params.repetition > 0,
          "penalize: repetition is {}, expected a number above 0", params.repetition);
  require(std::isfinite(params.presence) && std::isfinite(params.frequency),
          "penalize: presence is {} and frequency {}, expected finite numbers", params.presence, params.frequency);
  require(params.no_repeat_ngram >= 0, "penalize: no_repeat_ngram is {}, expected 0 or more", params.no_repeat_ngram);
  require(params.min_new_tokens >= 0, "penalize: min_new_tokens is {}, expected 0 or more", params.min_new_tokens);
  require(banned.count >= 0 && ends >= 0, "penalize: {} banned sequences and {} end tokens", banned.count, ends);
  if (logits.rows == 0 || logits.columns == 0) return;
  require(history.ids && history.lengths && history.prompts, "penalize: no history of the rows");
  require(!last.slots || last.ids, "penalize: no array of last tokens");
  const ProfilerRange range("penalize");
  context.operations().penalize(context, task);
}

}  // namespace sartor::cuda
