// The nearest rows of a matrix by cosine.
#pragma once

#include <span>

#include "core/device_buffer.h"
#include "models/factorization/factor_ranker.h"

namespace sartor::inference {

class Neighbours {
 public:
  // Copies `rows` (n, d), on the host, to the context.
  Neighbours(cuda::Context& context, cuda::Rows<const float> rows);

  // For each of `queries` (indices of rows) the k other rows of highest cosine, best first; -1 where there are fewer.
  // k is 1 .. n.
  RankedItems find(std::span<const int32_t> queries, int64_t k);

 private:
  cuda::Context& context_;
  cuda::Rows<const float> host_;
  cuda::DeviceBuffer<float> rows_;
};

}  // namespace sartor::inference
