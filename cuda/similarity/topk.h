// Best rows by similarity: for each query the k items of highest score.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

enum class Similarity { cosine, dot };

struct TopkParams {
  int64_t k = 10;  // results a query
  Similarity similarity = Similarity::cosine;
};

// One call of topk. All in the context's memory.
struct TopkTask {
  Rows<const float> queries;         // (Q, d), d >= 0
  Rows<const float> items;           // (N, d), N below 2^31
  const float* item_bias = nullptr;  // (N) or null for none; only with dot
  IdLists excluded;                  // item ids that each query must not get, ascending; rows = 0 for none
  TopkParams params;
  TopK found;  // (Q, k), overwritten
};

// For each query the k items of highest score, best first.
//
//   cosine  score(q, j) = <query_q, item_j> / (|query_q| |item_j|),  0 where a norm is 0
//   dot     score(q, j) = <query_q, item_j> + item_bias_j
//
// Equal scores go to the lower id; NaN and -inf are never found. A query with fewer than k items left gets id -1 and
// score -inf in the rest of its row.
//
// Sums in fp32. Never holds a Q x N array. The same bits on every run, whatever the number
// of threads, and for a query alone or among others. Throws std::invalid_argument on unequal d, k outside 1 .. N, rows
// of `excluded` or `found` that are not Q, a bias with cosine.
//
// Scratch on the CPU: 4 d + 16 k bytes for each of at most 1024 queries, times the threads; with fewer than 128 queries
// a thread also 8 k bytes a query and thread. On a GPU: 32 MiB, or 8 (k + 8192) bytes where that is more, and
// 4 (Q + N) bytes for norms.
void topk(Context& context, const TopkTask& task);

}  // namespace sartor::cuda
