#include "models/factorization/factor_ranker.h"

#include <algorithm>
#include <cmath>

namespace sartor {

FactorRanker::FactorRanker(cuda::Context& context, const FactorModel& model, ScorerOptions options)
    : context_(context), model_(model), offered_(std::move(options.offered)) {
  const int64_t all = std::ssize(model.item_bias), rows = offered_.empty() ? all : std::ssize(offered_);
  const int64_t factors = model.factors;
  std::vector<float> prior(rows), chosen;
  const float* item_factors = model.item_factors.data();
  if (!offered_.empty()) {
    position_.assign(all, -1);
    chosen.resize(rows * factors);
    for (int64_t row = 0; row < rows; row++) {
      position_[offered_[row]] = static_cast<int32_t>(row);
      std::copy_n(model.item_factors.data() + offered_[row] * factors, factors, chosen.data() + row * factors);
    }
    item_factors = chosen.data();
  }
  for (int64_t row = 0; row < rows; row++) {
    const int64_t item = offered_.empty() ? row : offered_[row];
    prior[row] = static_cast<float>(
        model.popularity_weight > 0 ? model.popularity_weight * std::log1p(static_cast<double>(model.item_count[item]))
                                    : model.item_bias[item]);
  }
  ranker_.emplace(context, cuda::Rows<const float>{item_factors, rows, factors},
                  RowRankerOptions{.similarity = cuda::Similarity::dot, .precision = options.precision}, prior);
}

RankedItems FactorRanker::rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) {
  std::vector<float> rows;
  rows.reserve(users.size() * model_.factors);
  for (const int32_t user : users) {
    const float* row = model_.user_rows().row(user);
    rows.insert(rows.end(), row, row + model_.factors);
  }
  return rank_rows({rows.data(), std::ssize(users), model_.factors}, excluded, k);
}

RankedItems FactorRanker::rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) {
  if (!fold_in_) fold_in_ = model_.folding(context_);
  const auto rows = fold_in_(ratings);
  return rank_rows({rows.data(), ratings.users(), model_.factors}, excluded, k);
}

RankedItems FactorRanker::rank_rows(cuda::Rows<const float> users, const cuda::IdLists& excluded, int64_t k) {
  if (offered_.empty()) return ranker_->rank(users, excluded, k);
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> positions;
  for (int64_t row = 0; row < excluded.rows; row++) {
    for (int64_t at = excluded.offsets[row]; at < excluded.offsets[row + 1]; at++) {
      const int32_t position = position_[excluded.ids[at]];
      if (position >= 0) positions.push_back(position);
    }
    offsets.push_back(std::ssize(positions));
  }
  RankedItems ranked = ranker_->rank(users, {excluded.rows, offsets.data(), positions.data()}, k);
  for (int32_t& item : ranked.items) item = item < 0 ? item : offered_[item];
  return ranked;
}

}  // namespace sartor
