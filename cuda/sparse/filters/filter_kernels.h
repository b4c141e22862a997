// Inner loops of sparse_product, graph_filter and top_scores on the CPU, compiled once per instruction set.
#pragma once

#include "core/isa.h"
#include "core/views.h"
#include "similarity/topk_key.h"

namespace sartor::cuda {

// to = a matrix right + b plus + c to, for dense matrices with `columns` columns. If c is 0, `to` is not read.
struct SparseRows {
  Csr<const float> matrix;
  const float* right;
  float* to;
  int64_t columns;
  float a = 1;
  const float* plus = nullptr;  // not read if b is 0
  float b = 0, c = 0;
};

struct FilterKernels {
  int lanes;  // rows that graph_filter computes together: the columns of its dense matrices

  // Computes the rows first to last - 1 of `to`.
  void (*multiply)(const SparseRows& rows, int64_t first, int64_t last);

  // to (count, size) = scale * the first `count` of `lanes` columns of from (size, lanes). scale: (size) or null.
  void (*transpose)(const float* from, int64_t size, const float* scale, int64_t count, float* to);

  // Appends the keys of the scores above the threshold, from element `begin` on, until there are `capacity` of them or
  // the row ends. Returns the next element. capacity - count must be at least `lanes`.
  int64_t (*collect)(const float* scores, int64_t begin, int64_t size, float threshold, int64_t capacity, TopkKey* keys,
                     int64_t& count);
};

namespace v3 {
extern const FilterKernels filter_kernels;
}
namespace v4 {
extern const FilterKernels filter_kernels;
}

inline const FilterKernels& filter_kernels(Isa isa) { return best_of(isa, v3::filter_kernels, v4::filter_kernels); }

}  // namespace sartor::cuda
