// Recommendations from neighbors.
#pragma once

#include <memory>
#include <vector>

#include "models/neighbors/neighbors_model.h"
#include "models/neighbors/voting.h"

namespace sartor {

// Ranks by the rule's scores, which for ratings are predictions before they are clipped. With the rule sum, items that
// no neighbor votes for follow by popularity, with the score 0. Computes on the CPU's threads on any device.
class NeighborsScorer : public Scorer {
 public:
  // The model must outlive the scorer.
  NeighborsScorer(cuda::Context& context, const NeighborsModel& model, ScorerOptions options);

  int64_t offered() const override { return std::ssize(by_popularity_); }
  RankedItems rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) override;
  RankedItems rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) override;
  Explanations explain(std::span<const int32_t> users, const RankedItems& ranked, int64_t most) override;
  Explanations explain(const UserRatings& ratings, const RankedItems& ranked, int64_t most) override;

 private:
  // Calls use(voting, voter, user) for each user on any thread.
  template <class Voters, class Use> void for_each(int64_t users, const Voters& voter_of, Use use);
  template <class Voters>
  RankedItems rank_all(int64_t users, const Voters& voter_of, const cuda::IdLists& excluded, int64_t k);
  template <class Voters> Explanations explain_all(const Voters& voter_of, const RankedItems& ranked, int64_t most);
  // Calls use(voter_of), whose argument is the index of a user.
  template <class Use> auto with_folded(const UserRatings& ratings, Use use);
  NeighborLists neighbors_of(const UserRatings& ratings);

  cuda::Context& context_;
  const NeighborsModel& model_;
  std::vector<int32_t> by_popularity_;            // offered items
  std::vector<bool> is_offered_;                  // (items)
  std::vector<std::unique_ptr<Voting>> votings_;  // of each thread

  // What users are folded in with, for user_knn; computed when it is needed first.
  struct Searched {
    RowValues values;
    UserRatings columns;
    std::vector<int64_t> sizes;
  };
  std::unique_ptr<Searched> searched_;
};

}  // namespace sartor
