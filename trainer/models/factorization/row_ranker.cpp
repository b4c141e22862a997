#include "models/factorization/row_ranker.h"

namespace sartor {

namespace {

std::span<const float> values_of(cuda::Rows<const float> rows) {
  return {rows.data, static_cast<size_t>(rows.rows * rows.columns)};
}

// As in cuda::TopkTask.
std::vector<uint32_t> bits_of(const std::vector<bool>& flags) {
  std::vector<uint32_t> words((flags.size() + 31) / 32);
  for (size_t i = 0; i < flags.size(); i++) words[i / 32] |= uint32_t{flags[i]} << i % 32;
  return words;
}

}  // namespace

RowRanker::RowRanker(cuda::Context& context, cuda::Rows<const float> rows, const RowRankerOptions& options,
                     std::span<const float> bias)
    : context_(context),
      values_(context, values_of(rows)),
      items_(context, {values_.data(), rows.rows, rows.columns}, options.similarity, options.precision),
      bias_(context, bias),
      allowed_(context, bits_of(options.allowed)) {
  if (items_.rows() != values_.data()) values_ = {};
}

int64_t RowRanker::bytes(bool gpu, int64_t rows, int64_t columns, const RowRankerOptions& options) {
  const auto layout = cuda::topk_rows_layout(gpu, options.similarity, options.precision, columns);
  constexpr int64_t bias_and_scale = 2 * sizeof(float);
  return rows * (columns * int64_t{sizeof(float)} + bias_and_scale) + layout.bytes(rows);
}

RankedItems RowRanker::rank(cuda::Rows<const float> queries, const cuda::IdLists& excluded, int64_t k) {
  const std::span offsets(excluded.offsets, excluded.rows > 0 ? excluded.rows + 1 : 0);
  const std::span ids(excluded.ids, offsets.empty() ? 0 : offsets.back());
  const cuda::DeviceBuffer<float> query_values(context_, values_of(queries));
  const cuda::DeviceBuffer<int64_t> excluded_offsets(context_, offsets);
  const cuda::DeviceBuffer<int32_t> excluded_ids(context_, ids);
  cuda::DeviceBuffer<float> scores(context_, queries.rows * k);
  cuda::DeviceBuffer<int32_t> found(context_, queries.rows * k);
  cuda::topk(context_, {.queries = {query_values.data(), queries.rows, queries.columns},
                        .prepared = &items_,
                        .item_bias = bias_.data(),
                        .excluded = {excluded.rows, excluded_offsets.data(), excluded_ids.data()},
                        .allowed = allowed_.data(),
                        .params = {.k = k, .similarity = items_.similarity(), .precision = items_.precision()},
                        .found = {queries.rows, k, scores.data(), found.data()}});
  return {k, found.to_host(), scores.to_host()};
}

}  // namespace sartor
