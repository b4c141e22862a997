// Recommendations of a trained model for users that it knows, users that it meets for the first time, and strangers.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "models/factorization/trained_model.h"
#include "storage/id_map.h"

namespace sartor::inference {

// What a list rests on: what training has learnt of the user, her ratings that are given now, or popularity alone,
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
  Recommender(cuda::Context& context, const TrainedModel& model, RecommenderOptions options);

  // Lists for these users shall rest on their ratings. The ratings of a user that the model knows are joined with those
  // that it was trained on, and win over them on the same item; `replace` leaves the latter out. Throws
  // std::invalid_argument where the model takes no new users or lacks the ratings to join, or an item is repeated.
  void fold_in(const std::map<std::string, std::vector<UserRating>>& ratings, bool replace = false);

  // Lists for the users of these ids, in their order.
  Recommendations recommend(std::span<const std::string> users);

 private:
  void order_by_popularity();
  RankedItems popular(std::span<const int32_t> left_out) const;  // one list
  std::vector<UserRating> ratings_of(const std::string& user, std::vector<UserRating> given, bool replace) const;

  const TrainedModel& model_;
  RecommenderOptions options_;
  std::unique_ptr<Scorer> scorer_;
  std::vector<int32_t> by_popularity_;  // the offered items, most training interactions first
  datasets::IdMap folded_{"new users"};
  UserRatings folded_ratings_;  // (folded)
};

}  // namespace sartor::inference
