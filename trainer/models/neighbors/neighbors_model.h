// Models that predict from the ratings of similar users (user_knn) or of similar items (item_knn).
#pragma once

#include "models/factorization/trained_model.h"
#include "models/neighbors/neighbors_config.h"

namespace sartor {

struct NeighborsModel : TrainedModel {
  bool by_user;  // whether the neighbors are users
  NeighborLists lists;
  PredictionConfig rule;
  RowValuesConfig values;      // of the similarities, for users that are folded in
  int64_t most_neighbors = 1;  // of a list
  Baseline baseline;
  double user_regularization = 0;  // of the baseline
  std::vector<float> means;        // of the users or items whose neighbors are listed

  NeighborsModel(bool by_user, std::string_view name) : by_user(by_user) { algorithm = name; }

  int64_t item_total() const { return std::ssize(item_count); }
  int64_t user_total() const { return std::ssize(seen_offsets) - 1; }
  UserRatings history() const { return {seen_offsets, seen_items, seen_ratings}; }

  // Completes the lists for scoring. Must be called when all other members are set.
  void connect();
  // For each user (user_knn) or item (item_knn) whose ratings count: the users or items that they count for, or for
  // users the neighbors, with amplified similarities.
  const NeighborLists& links() const { return links_; }

  bool knows(int64_t user) const override { return !seen_by(user).empty(); }
  std::vector<double> predict(int64_t first, const UserRatings& pairs) const override;
  std::unique_ptr<Scorer> scorer(cuda::Context& context, ScorerOptions options) const override;
  std::string cannot_fold_in() const override;
  Reasons reasons() const override { return by_user ? Reasons::users : Reasons::items; }

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;

 private:
  NeighborLists links_;
};

struct UserKnnModel : NeighborsModel {
  UserKnnModel() : NeighborsModel(true, "user_knn") {}
};
struct ItemKnnModel : NeighborsModel {
  ItemKnnModel() : NeighborsModel(false, "item_knn") {}
};

}  // namespace sartor
