#include "models/factorization/factor_ranker.h"

#include <cmath>

#include "similarity/topk.h"

namespace sartor {

FactorRanker::FactorRanker(cuda::Context& context, const FactorModel& model, std::vector<int32_t> offered)
    : context_(context), offered_(std::move(offered)) {
  const int64_t all = std::ssize(model.item_bias), rows = offered_.empty() ? all : std::ssize(offered_);
  const int64_t factors = model.factors;
  std::vector<float> prior(rows), chosen;
  std::span<const float> factor_rows = model.item_factors;
  if (!offered_.empty()) {
    position_.assign(all, -1);
    chosen.resize(rows * factors);
    for (int64_t row = 0; row < rows; row++) {
      position_[offered_[row]] = static_cast<int32_t>(row);
      std::copy_n(model.item_factors.data() + offered_[row] * factors, factors, chosen.data() + row * factors);
    }
    factor_rows = chosen;
  }
  for (int64_t row = 0; row < rows; row++) {
    const int64_t item = offered_.empty() ? row : offered_[row];
    prior[row] = static_cast<float>(
        model.popularity_weight > 0 ? model.popularity_weight * std::log1p(static_cast<double>(model.item_count[item]))
                                    : model.item_bias[item]);
  }
  items_ = cuda::DeviceBuffer<float>(context, factor_rows);
  prior_ = cuda::DeviceBuffer<float>(context, std::span<const float>(prior));
  item_rows_ = {items_.data(), rows, factors};
}

RankedItems FactorRanker::rank(cuda::Rows<const float> users, const cuda::IdLists& excluded, int64_t k) {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> ids;
  for (int64_t row = 0; row < excluded.rows; row++) {
    for (int64_t at = excluded.offsets[row]; at < excluded.offsets[row + 1]; at++) {
      const int32_t id = position_.empty() ? excluded.ids[at] : position_[excluded.ids[at]];
      if (id >= 0) ids.push_back(id);
    }
    offsets.push_back(std::ssize(ids));
  }

  const cuda::DeviceBuffer<float> queries(context_, std::span(users.data, users.rows * users.columns));
  const cuda::DeviceBuffer<int64_t> excluded_offsets(context_, std::span<const int64_t>(offsets));
  const cuda::DeviceBuffer<int32_t> excluded_ids(context_, std::span<const int32_t>(ids));
  cuda::DeviceBuffer<float> scores(context_, users.rows * k);
  cuda::DeviceBuffer<int32_t> found(context_, users.rows * k);
  cuda::topk(context_, {.queries = {queries.data(), users.rows, users.columns},
                        .items = item_rows_,
                        .item_bias = prior_.data(),
                        .excluded = {excluded.rows, excluded_offsets.data(), excluded_ids.data()},
                        .params = {.k = k, .similarity = cuda::Similarity::dot},
                        .found = {users.rows, k, scores.data(), found.data()}});

  RankedItems ranked = {k, found.to_host(), scores.to_host()};
  if (!offered_.empty()) {
    for (int32_t& item : ranked.items) item = item < 0 ? item : offered_[item];
  }
  return ranked;
}

}  // namespace sartor
