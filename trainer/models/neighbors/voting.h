// Scores of all items for one user, from the ratings of neighbors.
#pragma once

#include <span>
#include <vector>

#include "models/neighbors/neighbors_model.h"

namespace sartor {

// A user to score items for.
struct Voter {
  std::span<const int32_t> items;  // rated by the user
  std::span<const float> ratings;
  double bias = 0, mean = 0;
  std::span<const int32_t> neighbors = {};  // of the user, with similarities; for user_knn
  std::span<const float> similarities = {};

  static Voter known(const NeighborsModel& model, int64_t user);
  static Voter folded(const NeighborsModel& model, std::span<const int32_t> items, std::span<const float> ratings);
};

// Memory of one thread. The model must outlive it.
class Voting {
 public:
  explicit Voting(const NeighborsModel& model);

  // Replaces the scores by those for this user.
  void count(const Voter& voter);

  // Items with at least one vote, in no order.
  std::span<const int32_t> items() const { return touched_; }
  bool has_enough(int32_t item) const { return tallies_[item].votes >= model_.rule.min_neighbors; }
  // By the rule, or of the baseline if there are too few neighbors. Not clipped. For the last user.
  double score(int32_t item) const;

  // The users or items whose ratings a score consists of, with shares that sum up to 1: of the sum of similarities, or
  // for the rule sum of its products. The largest shares first, at most `most`.
  struct Reason {
    int32_t id;
    float share;
  };
  std::vector<Reason> reasons(const Voter& voter, int32_t item, int64_t most) const;

 private:
  struct Vote {
    float weight;
    int32_t id;
    double value;  // rating or difference
  };
  struct Tally {
    double weighted = 0, weights = 0, values = 0;
    int64_t votes = 0;
  };
  template <class Use> void for_votes(const Voter& voter, Use use) const;
  double value_of(const Voter& voter, int32_t neighbor, int32_t item, float rating) const;
  double offset_of(int32_t item) const;
  void add(Tally& tally, const Vote& vote) const;
  void count_nearest(const Voter& voter);
  // Moves the k most similar votes to the front and returns their number.
  int64_t nearest(std::span<Vote> votes) const;

  const NeighborsModel& model_;
  double bias_ = 0, mean_ = 0;  // of the last user
  std::vector<Tally> tallies_;  // (items)
  std::vector<int32_t> touched_;
  std::vector<int64_t> places_;  // of the votes for each item
  std::vector<Vote> votes_;
};

}  // namespace sartor
