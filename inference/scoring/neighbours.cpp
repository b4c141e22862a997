#include "scoring/neighbours.h"

#include <numeric>

#include "similarity/topk.h"

namespace sartor::inference {

Neighbours::Neighbours(cuda::Context& context, cuda::Rows<const float> rows)
    : context_(context), host_(rows), rows_(context, std::span(rows.data, rows.rows * rows.columns)) {}

RankedItems Neighbours::find(std::span<const int32_t> queries, int64_t k) {
  const int64_t count = std::ssize(queries);
  std::vector<float> chosen;
  for (const int32_t query : queries) chosen.insert(chosen.end(), host_.row(query), host_.row(query) + host_.columns);
  std::vector<int64_t> offsets(count + 1);  // each query excludes itself, by id: another row may be as near
  std::iota(offsets.begin(), offsets.end(), 0);

  const cuda::DeviceBuffer<float> query_rows(context_, std::span<const float>(chosen));
  const cuda::DeviceBuffer<int64_t> self_offsets(context_, std::span<const int64_t>(offsets));
  const cuda::DeviceBuffer<int32_t> self(context_, queries);
  cuda::DeviceBuffer<float> scores(context_, count * k);
  cuda::DeviceBuffer<int32_t> found(context_, count * k);
  cuda::topk(context_, {.queries = {query_rows.data(), count, host_.columns},
                        .items = {rows_.data(), host_.rows, host_.columns},
                        .excluded = {count, self_offsets.data(), self.data()},
                        .params = {.k = k},
                        .found = {count, k, scores.data(), found.data()}});
  return {k, found.to_host(), scores.to_host()};
}

}  // namespace sartor::inference
