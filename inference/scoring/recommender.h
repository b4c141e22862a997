// Recommendations of a trained model for known users, new users with ratings, and unknown users.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "models/factorization/trained_model.h"
#include "scoring/catalogue_shards.h"
#include "storage/id_map.h"

namespace sartor::inference {

// Source of a list: the trained factors of the user, ratings that were folded in, or item popularity if the user is
// unknown or has no training ratings.
enum class Basis { model, ratings, popularity };
constexpr std::string_view name_of(Basis basis) {
  return basis == Basis::model ? "model" : basis == Basis::ratings ? "ratings" : "popularity";
}

struct Recommendations {
  RankedItems items;         // one list per user, of k items or of all offered items if there are fewer, filled with -1
  std::vector<Basis> basis;  // (users)
  Explanations reasons;      // of all lists, if they are asked for

  void transfer(auto& visit) {
    items.transfer(visit);
    visit(basis);
    reasons.transfer(visit);
  }
  void merge(const Recommendations& part) { items.merge(part.items); }
};

struct UserRating {
  int32_t item;  // item index of the model
  float value;
};

struct RecommenderOptions {
  int64_t k = 10;
  bool exclude_seen = true;      // exclude items that the user has rated
  std::vector<int32_t> offered;  // ascending indices of items; empty for all
  CatalogueShard shard;          // the part of these that lists contain; the first part also has those by popularity
  cuda::TopkPrecision precision = cuda::TopkPrecision::fp32;
};

class Recommender {
 public:
  // `model` must outlive this object.
  Recommender(cuda::Context& context, const TrainedModel& model, RecommenderOptions options);

  // Computes the lists of these users from the given ratings. For users of the model, their training ratings are used
  // too, unless they have a given rating of the same item or `replace` is true. Throws std::invalid_argument if the
  // model cannot fold in users or lacks the training ratings, or an item is repeated.
  void fold_in(const std::map<std::string, std::vector<UserRating>>& ratings, bool replace = false);

  // Lists for the users with these ids, in the same order.
  Recommendations recommend(std::span<const std::string> users);

  // What these recommendations for the same users are based on, with up to `most` shares per item. reasons() of the
  // model must not be none.
  Explanations explain(std::span<const std::string> users, const Recommendations& found, int64_t most);

 private:
  std::vector<int32_t> part_of_offered() const;
  void order_by_popularity();
  RankedItems popular(std::span<const int32_t> left_out) const;  // one list
  std::vector<UserRating> ratings_of(const std::string& user, std::vector<UserRating> given, bool replace) const;

  const TrainedModel& model_;
  RecommenderOptions options_;
  std::unique_ptr<Scorer> scorer_;      // null if the part is empty
  std::vector<int32_t> by_popularity_;  // offered items by descending number of training interactions
  datasets::IdMap folded_{"new users"};
  UserRatings folded_ratings_;  // one row per user of folded_
};

}  // namespace sartor::inference
