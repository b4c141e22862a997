#include "models/neighbors/voting.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sartor {

using Rule = NeighborPrediction;

namespace {

double mean_of(std::span<const float> ratings) {
  return ratings.empty() ? 0
                         : std::accumulate(ratings.begin(), ratings.end(), 0.0) / static_cast<double>(ratings.size());
}

}  // namespace

Voter Voter::known(const NeighborsModel& model, int64_t user) {
  const int64_t begin = model.seen_offsets[user], count = model.seen_offsets[user + 1] - begin;
  Voter voter = {model.seen_by(user), std::span(model.seen_ratings).subspan(begin, count)};
  voter.bias = model.baseline.user_bias[user];
  if (!model.by_user) return voter;
  const auto& links = model.links();
  const int64_t first = links.offsets[user], neighbors = links.offsets[user + 1] - first;
  voter.mean = model.means[user];
  voter.neighbors = std::span(links.ids).subspan(first, neighbors);
  voter.similarities = std::span(links.similarities).subspan(first, neighbors);
  return voter;
}

Voter Voter::folded(const NeighborsModel& model, std::span<const int32_t> items, std::span<const float> ratings) {
  const double bias = model.baseline.bias_of(items, ratings, model.user_regularization);
  return {.items = items, .ratings = ratings, .bias = bias, .mean = mean_of(ratings)};
}

Voting::Voting(const NeighborsModel& model)
    : model_(model), tallies_(model.item_total()), places_(model.rule.k ? model.item_total() : 0) {}

// Calls use(item, neighbor, similarity, rating) for every rating that counts for an item.
template <class Use> void Voting::for_votes(const Voter& voter, Use use) const {
  if (model_.by_user) {
    for (size_t at = 0; at < voter.neighbors.size(); at++) {
      const int32_t neighbor = voter.neighbors[at];
      for (int64_t rated = model_.seen_offsets[neighbor]; rated < model_.seen_offsets[neighbor + 1]; rated++) {
        use(model_.seen_items[rated], neighbor, voter.similarities[at], model_.seen_ratings[rated]);
      }
    }
    return;
  }
  const auto& [offsets, ids, similarities] = model_.links();
  for (size_t at = 0; at < voter.items.size(); at++) {
    const int32_t rated = voter.items[at];
    for (int64_t link = offsets[rated]; link < offsets[rated + 1]; link++) {
      use(ids[link], rated, similarities[link], voter.ratings[at]);
    }
  }
}

double Voting::value_of(const Voter& voter, int32_t neighbor, int32_t item, float rating) const {
  const auto& baseline = model_.baseline;
  switch (model_.rule.prediction) {
    case Rule::centred:
      return rating - model_.means[neighbor];
    case Rule::baseline:
      return rating - (model_.by_user ? baseline.rating(baseline.user_bias[neighbor], item)
                                      : baseline.rating(voter.bias, neighbor));
    default:
      return rating;
  }
}

double Voting::offset_of(int32_t item) const {
  switch (model_.rule.prediction) {
    case Rule::centred:
      return model_.by_user ? mean_ : model_.means[item];
    case Rule::baseline:
      return model_.baseline.rating(bias_, item);
    default:
      return 0;
  }
}

void Voting::add(Tally& tally, const Vote& vote) const {
  tally.weighted += vote.weight * vote.value;
  tally.weights += std::abs(vote.weight);
  tally.values += vote.value;
  tally.votes++;
}

void Voting::count(const Voter& voter) {
  for (const int32_t item : touched_) tallies_[item] = {};
  touched_.clear();
  bias_ = voter.bias;
  mean_ = voter.mean;
  const auto touch = [&](int32_t item) {
    if (tallies_[item].votes == 0) touched_.push_back(item);
  };
  if (model_.rule.k) {
    for_votes(voter, [&](int32_t item, int32_t, float, float) {
      touch(item);
      tallies_[item].votes++;
    });
    return count_nearest(voter);
  }
  for_votes(voter, [&](int32_t item, int32_t neighbor, float similarity, float rating) {
    touch(item);
    add(tallies_[item], {similarity, neighbor, value_of(voter, neighbor, item, rating)});
  });
}

// The votes are sorted by item, with places for those that the tallies have counted.
void Voting::count_nearest(const Voter& voter) {
  int64_t all = 0;
  for (const int32_t item : touched_) {
    places_[item] = all;
    all += tallies_[item].votes;
    tallies_[item] = {};
  }
  votes_.resize(all);
  for_votes(voter, [&](int32_t item, int32_t neighbor, float similarity, float rating) {
    votes_[places_[item]++] = {similarity, neighbor, value_of(voter, neighbor, item, rating)};
  });
  int64_t begin = 0;
  for (const int32_t item : touched_) {
    const std::span votes(votes_.data() + begin, votes_.data() + places_[item]);
    begin = places_[item];
    for (const Vote& vote : votes.first(nearest(votes))) add(tallies_[item], vote);
  }
}

int64_t Voting::nearest(std::span<Vote> votes) const {
  const int64_t k = model_.rule.k.value_or(std::ssize(votes));
  if (std::ssize(votes) <= k) return std::ssize(votes);
  std::ranges::nth_element(votes, votes.begin() + k, [](const Vote& a, const Vote& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  });
  return k;
}

double Voting::score(int32_t item) const {
  const Tally& tally = tallies_[item];
  if (!has_enough(item)) return model_.rule.predicts_ratings() ? model_.baseline.rating(bias_, item) : 0;
  switch (model_.rule.prediction) {
    case Rule::sum:
      return tally.weighted;
    case Rule::mean:
      return tally.values / static_cast<double>(tally.votes);
    default:
      return offset_of(item) + tally.weighted / tally.weights;
  }
}

std::vector<Voting::Reason> Voting::reasons(const Voter& voter, int32_t wanted, int64_t most) const {
  std::vector<Vote> votes;
  for_votes(voter, [&](int32_t item, int32_t neighbor, float similarity, float rating) {
    if (item == wanted) votes.push_back({similarity, neighbor, rating});
  });
  votes.resize(nearest(votes));
  if (std::ssize(votes) < model_.rule.min_neighbors) return {};
  const auto part = [&](const Vote& vote) -> double {
    if (model_.rule.prediction == Rule::mean) return 1;
    return model_.rule.prediction == Rule::sum ? vote.weight * vote.value : std::abs(vote.weight);
  };
  double whole = 0;
  for (const Vote& vote : votes) whole += part(vote);
  std::vector<Reason> reasons;
  for (const Vote& vote : votes) reasons.push_back({vote.id, static_cast<float>(part(vote) / whole)});
  std::ranges::sort(
      reasons, [](const Reason& a, const Reason& b) { return a.share != b.share ? a.share > b.share : a.id < b.id; });
  reasons.resize(std::min(most, std::ssize(reasons)));
  return reasons;
}

}  // namespace sartor
