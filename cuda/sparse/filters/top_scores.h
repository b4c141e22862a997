// The highest scores of each row of a dense matrix.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of top_scores. All arrays are in the context's memory.
struct TopScoresTask {
  Rows<float> scores;                 // (Q, N), N < 2^31. May be overwritten where items are excluded
  IdLists excluded;                   // item ids to exclude per row, ascending; rows = 0 for none
  const uint32_t* allowed = nullptr;  // items that may be found, as bits as in TopkTask; null for all
  TopK found;                         // (Q, k), overwritten
};

// Finds for each row the k items with the highest scores, best first, with the order, the padding and the treatment of
// NaN and -inf of topk. Scratch memory on a GPU: 16 k bytes per row, and a copy of the scores if N is not a multiple of
// 4. Throws std::invalid_argument if k is outside 1 to N, or `excluded` or `found` do not have Q rows.
void top_scores(Context& context, const TopScoresTask& task);

}  // namespace sartor::cuda
