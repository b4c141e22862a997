// Top-k search over the rows of a matrix (cuda::topk) with arguments and results on the host.
#pragma once

#include <span>

#include "core/device_buffer.h"
#include "models/factorization/scorer.h"
#include "similarity/topk.h"

namespace sartor {

class RowRanker {
 public:
  // Copies `rows` (n, d) and `bias` (n; or empty, only with dot) to the context's device.
  RowRanker(cuda::Context& context, cuda::Rows<const float> rows, cuda::Similarity similarity,
            std::span<const float> bias = {});

  int64_t size() const { return rows_.rows; }

  // The k rows with the highest scores for each of `queries` (q, d), best first, without those in its list of
  // `excluded` (q ascending lists, or rows = 0 for none). Padded with -1 if there are fewer. k is 1 to n.
  RankedItems rank(cuda::Rows<const float> queries, const cuda::IdLists& excluded, int64_t k);

 private:
  cuda::Context& context_;
  cuda::Similarity similarity_;
  cuda::DeviceBuffer<float> values_, bias_;
  cuda::Rows<const float> rows_;  // view of values_
};

}  // namespace sartor
