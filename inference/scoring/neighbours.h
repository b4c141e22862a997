// Nearest neighbors by cosines.
#pragma once

#include <span>

#include "models/factorization/row_ranker.h"

namespace sartor::inference {

class Neighbours {
 public:
  // Copies `rows` (n, d) from the host to the context. Both must outlive this object.
  Neighbours(cuda::Context& context, cuda::Rows<const float> rows, const RowRankerOptions& options = {});

  // For each query (an index of a row) the k other rows that are allowed with the highest similarity, best first, -1 if
  // there are fewer. k is 1 .. n.
  RankedItems find(std::span<const int32_t> queries, int64_t k);

 private:
  cuda::Rows<const float> rows_;
  RowRanker ranker_;
};

}  // namespace sartor::inference
