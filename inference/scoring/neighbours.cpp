#include "scoring/neighbours.h"

#include <numeric>

namespace sartor::inference {

Neighbours::Neighbours(cuda::Context& context, cuda::Rows<const float> rows, const RowRankerOptions& options)
    : rows_(rows), ranker_(context, rows, options) {}

RankedItems Neighbours::find(std::span<const int32_t> queries, int64_t k) {
  const int64_t count = std::ssize(queries);
  std::vector<float> chosen;
  for (const int32_t query : queries) chosen.insert(chosen.end(), rows_.row(query), rows_.row(query) + rows_.columns);
  std::vector<int64_t> offsets(count + 1);  // excludes each query by index, as other rows may have the same cosine
  std::iota(offsets.begin(), offsets.end(), 0);
  return ranker_.rank({chosen.data(), count, rows_.columns}, {count, offsets.data(), queries.data()}, k);
}

}  // namespace sartor::inference
