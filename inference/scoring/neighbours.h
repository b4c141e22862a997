// Nearest neighbors by cosines.
#pragma once

#include <optional>
#include <span>

#include "models/factorization/row_ranker.h"

namespace sartor::inference {

class Neighbours {
 public:
  // Copies rows first to end - 1 of `rows` (n, d) from the host to the context. Both must outlive this object.
  // options.allowed is of these rows alone.
  Neighbours(cuda::Context& context, cuda::Rows<const float> rows, int64_t first, int64_t end,
             const RowRankerOptions& options = {});
  Neighbours(cuda::Context& context, cuda::Rows<const float> rows, const RowRankerOptions& options = {})
      : Neighbours(context, rows, 0, rows.rows, options) {}

  // For each query (an index of any row) the k other rows that were copied and are allowed with the highest similarity,
  // best first, -1 if there are fewer. k is 1 .. n.
  RankedItems find(std::span<const int32_t> queries, int64_t k);

 private:
  cuda::Rows<const float> rows_;
  int64_t first_;
  std::optional<RowRanker> ranker_;  // none without rows
};

}  // namespace sartor::inference
