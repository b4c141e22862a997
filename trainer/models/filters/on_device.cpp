#include "models/filters/on_device.h"

#include "sparse/filters/positive_entries.h"

namespace sartor {

PositiveEntries::PositiveEntries(cuda::Context& context, cuda::Rows<const float> dense) {
  const cuda::DeviceBuffer<int64_t> counts(context, dense.rows);
  cuda::count_positive(context, {dense, counts.data()});
  counts_ = counts.to_host();
  std::vector<int64_t> offsets = {0};
  for (const int64_t count : counts_) offsets.push_back(offsets.back() + count);
  offsets_ = {context, std::span<const int64_t>(offsets)};
  columns_ = {context, offsets.back()};
  values_ = {context, offsets.back()};
  cuda::take_positive(context, {dense, offsets_.data(), columns_.data(), values_.data()});
}

void PositiveEntries::append_to(SparseMatrix& matrix) const {
  for (const int64_t count : counts_) matrix.offsets.push_back(matrix.offsets.back() + count);
  const size_t before = matrix.columns.size();
  matrix.columns.resize(matrix.offsets.back());
  matrix.values.resize(matrix.offsets.back());
  columns_.read(std::span(matrix.columns).subspan(before));
  values_.read(std::span(matrix.values).subspan(before));
}

}  // namespace sartor
