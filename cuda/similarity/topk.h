// Top-k search: for each query the k items with the highest scores.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

enum class Similarity { cosine, dot };

struct TopkParams {
  int64_t k = 10;  // results per query
  Similarity similarity = Similarity::cosine;
};

// Arguments of topk. All arrays are in the context's memory.
struct TopkTask {
  Rows<const float> queries;         // (Q, d), d >= 0
  Rows<const float> items;           // (N, d), N < 2^31
  const float* item_bias = nullptr;  // (N) or null; only with dot
  IdLists excluded;                  // item ids to exclude per query, ascending; rows = 0 for none
  TopkParams params;
  TopK found;  // (Q, k), overwritten
};

// Finds for each query the k items with the highest scores, best first.
//
//   cosine  score(q, j) = <query_q, item_j> / (|query_q| |item_j|),  0 if a norm is 0
//   dot     score(q, j) = <query_q, item_j> + item_bias_j
//
// Ties are broken by the lower id; items with score NaN or -inf are not found. If fewer than k items are found, the
// rest of the row has id -1 and score -inf.
//
// Sums are in fp32. The Q x N score matrix is not stored. Results are bitwise reproducible, whatever the number of
// threads and the other queries of the call. Throws std::invalid_argument if d differs, k is outside 1 to N, `excluded`
// or `found` do not have Q rows, or a bias is given with cosine.
//
// Scratch memory on the CPU: 4 d + 16 k bytes per thread for each of at most 1024 queries; with fewer than 128 queries
// another 8 k bytes per query and thread. On a GPU: 32 MiB, or 8 (k + 8192) bytes if that is more, and 4 (Q + N) bytes
// for norms.
void topk(Context& context, const TopkTask& task);

}  // namespace sartor::cuda
