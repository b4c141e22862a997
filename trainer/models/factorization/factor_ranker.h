// Top-k recommendation with a factor model.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "models/factorization/factor_model.h"
#include "models/factorization/row_ranker.h"

namespace sartor {

// Ranks by   score(u, i) = <user_u, item_i> + prior_i
//
//   prior_i = item_bias_i                               if popularity_weight is 0: the order of predicted ratings
//   prior_i = popularity_weight log(1 + item_count_i)   otherwise
//
// The second accounts for ratings that are not missing at random (Marlin and Zemel 2009): users are unlikely to choose
// an item that few others chose, however high its ratings.
class FactorRanker : public Scorer {
 public:
  // Copies the factors of the offered items to the context's device. The model must outlive the ranker.
  FactorRanker(cuda::Context& context, const FactorModel& model, ScorerOptions options = {});

  int64_t offered() const override { return ranker_->size(); }
  RankedItems rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) override;
  RankedItems rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) override;

 private:
  RankedItems rank_rows(cuda::Rows<const float> users, const cuda::IdLists& excluded, int64_t k);

  cuda::Context& context_;
  const FactorModel& model_;
  FactorModel::FoldIn fold_in_;      // made when it is needed first
  std::vector<int32_t> offered_;     // index in the model of each row; empty for all items
  std::vector<int32_t> position_;    // row of each index in the model, or -1; empty for all items
  std::optional<RowRanker> ranker_;  // over the offered items
};

}  // namespace sartor
