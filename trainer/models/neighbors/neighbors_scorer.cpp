#include "models/neighbors/neighbors_scorer.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "core/processors.h"
#include "models/neighbors/sparse_rows.h"
#include "similarity/topk_key.h"

namespace sartor {
namespace {

using cuda::TopkKey;

constexpr int64_t users_per_task = 8;

std::span<const int32_t> list_of(const cuda::IdLists& lists, int64_t row) {
  if (lists.rows == 0) return {};
  return {lists.ids + lists.offsets[row], lists.ids + lists.offsets[row + 1]};
}

// Candidates of a list of k items.
class BestItems {
 public:
  explicit BestItems(int64_t k) : k_(k) {}

  void offer(double score, int32_t item) {
    const TopkKey key = cuda::topk_key(static_cast<float>(score), item);
    if (key < least_) return;
    keys_.push_back(key);
    if (std::ssize(keys_) < 2 * k_ + 64) return;
    std::ranges::nth_element(keys_, keys_.begin() + k_ - 1, std::greater());
    keys_.resize(k_);
    least_ = keys_[k_ - 1];
  }
  // The best ones in order.
  std::span<const TopkKey> finish() {
    std::ranges::sort(keys_, std::greater());
    keys_.resize(std::min(k_, std::ssize(keys_)));
    return keys_;
  }

 private:
  int64_t k_;
  TopkKey least_ = 0;
  std::vector<TopkKey> keys_;
};

}  // namespace

NeighborsScorer::NeighborsScorer(cuda::Context& context, const NeighborsModel& model, ScorerOptions options)
    : context_(context), model_(model), by_popularity_(std::move(options.offered)) {
  if (by_popularity_.empty()) {
    by_popularity_.resize(model.item_total());
    std::iota(by_popularity_.begin(), by_popularity_.end(), 0);
  }
  is_offered_.resize(model.item_total());
  for (const int32_t item : by_popularity_) is_offered_[item] = true;
  std::ranges::stable_sort(by_popularity_, std::greater(), [&](int32_t item) { return model.item_count[item]; });
  votings_.resize(context.is_gpu() ? cuda::available_threads() : cuda::cpu(context).threads);
}

template <class Voters, class Use> void NeighborsScorer::for_each(int64_t users, const Voters& voter_of, Use use) {
  const int threads = static_cast<int>(std::ssize(votings_));
  cuda::parallel_for(threads, users, users_per_task, [&](int64_t begin, int64_t end, int thread) {
    auto& voting = votings_[thread];
    if (!voting) voting = std::make_unique<Voting>(model_);
    for (int64_t user = begin; user < end; user++) use(*voting, voter_of(user), user);
  });
}

template <class Voters>
RankedItems NeighborsScorer::rank_all(int64_t users, const Voters& voter_of, const cuda::IdLists& excluded, int64_t k) {
  RankedItems ranked = {k, std::vector<int32_t>(users * k, -1), std::vector<float>(users * k)};
  for_each(users, voter_of, [&](Voting& voting, const Voter& voter, int64_t user) {
    voting.count(voter);
    const auto left_out = list_of(excluded, user);
    const auto allowed = [&](int32_t item) { return !std::ranges::binary_search(left_out, item); };
    BestItems best(k);
    if (model_.rule.predicts_ratings()) {
      for (const int32_t item : by_popularity_) {
        if (allowed(item)) best.offer(voting.score(item), item);
      }
    } else {
      for (const int32_t item : voting.items()) {
        if (!is_offered_[item] || !voting.has_enough(item)) continue;
        const double score = voting.score(item);
        if (score > 0 && allowed(item)) best.offer(score, item);
      }
    }
    const std::span items(ranked.items.data() + user * k, k);
    int64_t count = 0;
    for (const TopkKey key : best.finish()) {
      ranked.scores[user * k + count] = cuda::topk_score(key);
      items[count++] = cuda::topk_id(key);
    }
    for (size_t at = 0; at < by_popularity_.size() && count < k; at++) {
      const int32_t item = by_popularity_[at];
      const auto listed = items.first(count);
      if (allowed(item) && std::ranges::find(listed, item) == listed.end()) items[count++] = item;
    }
  });
  return ranked;
}

RankedItems NeighborsScorer::rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) {
  return rank_all(
      std::ssize(users), [&](int64_t user) { return Voter::known(model_, users[user]); }, excluded, k);
}

template <class Use> auto NeighborsScorer::with_folded(const UserRatings& ratings, Use use) {
  NeighborLists lists;
  if (model_.by_user) lists = neighbors_of(ratings);
  return use([&](int64_t user) {
    const int64_t begin = ratings.offsets[user], count = ratings.offsets[user + 1] - begin;
    Voter voter = Voter::folded(model_, std::span(ratings.items).subspan(begin, count),
                                std::span(ratings.values).subspan(begin, count));
    if (!model_.by_user) return voter;
    const int64_t first = lists.offsets[user], neighbors = lists.offsets[user + 1] - first;
    voter.neighbors = std::span<const int32_t>(lists.ids).subspan(first, neighbors);
    voter.similarities = std::span<const float>(lists.similarities).subspan(first, neighbors);
    return voter;
  });
}

RankedItems NeighborsScorer::rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) {
  return with_folded(ratings, [&](const auto& voter_of) { return rank_all(ratings.users(), voter_of, excluded, k); });
}

// The nearest known users, by all that is known of them.
NeighborLists NeighborsScorer::neighbors_of(const UserRatings& ratings) {
  require(model_.cannot_fold_in().empty(), "{}", model_.cannot_fold_in());
  const auto& [mean, user_bias, item_bias] = model_.baseline;
  if (!searched_) {
    const UserRatings known = model_.history();
    searched_ = std::make_unique<Searched>();
    searched_->values = RowValues(model_.values, known, model_.item_total(), mean, item_bias);
    searched_->columns = transposed(searched_->values.of(known, user_bias), model_.item_total());
    for (int64_t user = 0; user < known.users(); user++) {
      searched_->sizes.push_back(known.offsets[user + 1] - known.offsets[user]);
    }
  }
  std::vector<float> bias;
  for (int64_t user = 0; user < ratings.users(); user++) {
    const int64_t begin = ratings.offsets[user], count = ratings.offsets[user + 1] - begin;
    bias.push_back(static_cast<float>(Voter::folded(model_, std::span(ratings.items).subspan(begin, count),
                                                    std::span(ratings.values).subspan(begin, count))
                                          .bias));
  }
  NeighborLists lists =
      find_neighbors(context_, searched_->values.of(ratings, bias), {0, ratings.users()}, searched_->columns,
                     searched_->sizes, -1, model_.values.params(model_.most_neighbors));
  amplify(lists, model_.rule.amplification);
  return lists;
}

template <class Voters>
Explanations NeighborsScorer::explain_all(const Voters& voter_of, const RankedItems& ranked, int64_t most) {
  const int64_t users = std::ssize(ranked.items) / ranked.k;
  std::vector<std::vector<Voting::Reason>> found(ranked.items.size());
  for_each(users, voter_of, [&](Voting& voting, const Voter& voter, int64_t user) {
    for (int64_t at = user * ranked.k; at < (user + 1) * ranked.k; at++) {
      if (ranked.items[at] >= 0) found[at] = voting.reasons(voter, ranked.items[at], most);
    }
  });
  Explanations explanations;
  for (const auto& reasons : found) {
    for (const auto& [id, share] : reasons) {
      explanations.ids.push_back(id);
      explanations.shares.push_back(share);
    }
    explanations.offsets.push_back(std::ssize(explanations.ids));
  }
  return explanations;
}

Explanations NeighborsScorer::explain(std::span<const int32_t> users, const RankedItems& ranked, int64_t most) {
  return explain_all([&](int64_t user) { return Voter::known(model_, users[user]); }, ranked, most);
}

Explanations NeighborsScorer::explain(const UserRatings& ratings, const RankedItems& ranked, int64_t most) {
  return with_folded(ratings, [&](const auto& voter_of) { return explain_all(voter_of, ranked, most); });
}

}  // namespace sartor
