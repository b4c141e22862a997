// The rows of a matrix that score highest against others, by cuda::topk with all that it takes and gives on the host.
#pragma once

#include <span>

#include "core/device_buffer.h"
#include "models/factorization/scorer.h"
#include "similarity/topk.h"

namespace sartor {

class RowRanker {
 public:
  // Copies `rows` (n, d) and `bias` (n, or empty; only with dot) to the context.
  RowRanker(cuda::Context& context, cuda::Rows<const float> rows, cuda::Similarity similarity,
            std::span<const float> bias = {});

  int64_t size() const { return rows_.rows; }

  // For each of `queries` (q, d) the k rows of highest score but those in its list of `excluded` (q ascending lists, or
  // rows = 0 for none), best first; -1 where there are fewer. k is 1 .. n.
  RankedItems rank(cuda::Rows<const float> queries, const cuda::IdLists& excluded, int64_t k);

 private:
  cuda::Context& context_;
  cuda::Similarity similarity_;
  cuda::DeviceBuffer<float> values_, bias_;
  cuda::Rows<const float> rows_;  // in values_
};

}  // namespace sartor
