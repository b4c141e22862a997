// Recommendations of a factor model for users that it knows, users that it meets for the first time, and strangers.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "models/factorization/factor_ranker.h"
#include "storage/id_map.h"

namespace sartor::inference {

// What a list rests on: factors learnt in training, factors found now from the user's ratings, or popularity alone,
// where the user is unknown or only held-out ratings of hers are.
enum class Basis { model, ratings, popularity };
constexpr std::string_view name_of(Basis basis) {
  return basis == Basis::model ? "model" : basis == Basis::ratings ? "ratings" : "popularity";
}

struct Recommendations {
  RankedItems items;         // a list for each user asked for, of k items or all that are offered
  std::vector<Basis> basis;  // (users)
};

struct UserRating {
  int32_t item;  // index of the model
  float value;
};

struct RecommenderOptions {
  int64_t k = 10;
  bool exclude_seen = true;      // what a user has rated is not recommended
  std::vector<int32_t> offered;  // ascending indices of items; empty for all
};

class Recommender {
 public:
  // `model` must outlive this.
  Recommender(cuda::Context& context, const FactorModel& model, RecommenderOptions options);

  // Finds factors for users from their ratings, the items' factors fixed (one als_update). The ratings of a user that
  // the model knows are joined with those that it was trained on, and win over them on the same item; `replace` leaves
  // the latter out. Throws std::invalid_argument where the model has no factors, lacks the ratings to join, or an item
  // is repeated.
  void fold_in(const std::map<std::string, std::vector<UserRating>>& ratings, bool replace = false);

  // Lists for the users of these ids, in their order.
  Recommendations recommend(std::span<const std::string> users);

 private:
  void order_by_popularity();
  RankedItems popular(std::span<const int32_t> left_out) const;  // one list
  bool has_factors(int32_t known) const;
  std::span<const int32_t> seen_by(int32_t known) const;  // items that a user of the model has rated
  std::vector<UserRating> ratings_of(const std::string& user, std::vector<UserRating> given, bool replace) const;

  cuda::Context& context_;
  const FactorModel& model_;
  RecommenderOptions options_;
  FactorRanker ranker_;
  std::vector<int32_t> by_popularity_;  // the offered items, most training interactions first
  datasets::IdMap folded_{"new users"};
  std::vector<float> folded_factors_;  // (folded, f)
  std::vector<std::vector<int32_t>> folded_seen_;
};

}  // namespace sartor::inference
