// GPU version of top_scores, called after its checks.
#pragma once

#include "sparse/filters/top_scores.h"

namespace sartor::cuda {

void top_scores_gpu(Context& context, const TopScoresTask& task);

}  // namespace sartor::cuda
