// Inner loops of row_similarity on the CPU, compiled once per instruction set.
#pragma once

#include "similarity/topk_key.h"
#include "sparse/row_similarity_equations.h"

namespace sartor::cuda {

// Candidates of a query, in memory for `capacity` of them.
struct RowCandidates {
  TopkKey* keys;
  int64_t count, capacity;
  float threshold;  // similarities below it are not needed
};

// Where the search for candidates continues.
struct RowPosition {
  int64_t outer = 0, inner = 0;
};

struct RowSimilarityKernels {
  int64_t (*floats)(RowSums sums, int64_t rows);  // of the sums of a query

  // Adds the products of a query to the sums, which were 0, except with the row `self`.
  void (*accumulate)(const RowSimilarityTask& task, int64_t query, int64_t self, float* sums);

  // Appends rows with similarities of at least the threshold to the candidates and resets their sums to 0, from the
  // position on. Returns whether all rows are done; otherwise the candidates need room, at least `block` keys.
  // scan: reads the sums of all rows. revisit: only those of rows that have common columns with the query.
  bool (*scan)(const RowSimilarityTask& task, int64_t query, float* sums, RowPosition& at, RowCandidates& candidates);
  bool (*revisit)(const RowSimilarityTask& task, int64_t query, float* sums, RowPosition& at,
                  RowCandidates& candidates);

  int64_t block;  // rows that are scanned together
};

namespace v3 {
extern const RowSimilarityKernels row_similarity_kernels;
}
namespace v4 {
extern const RowSimilarityKernels row_similarity_kernels;
}

}  // namespace sartor::cuda
