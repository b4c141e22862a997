#include "metrics/ranking.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "base/require.h"

namespace sartor {
namespace {

constexpr int64_t sums_per_cutoff = 6;

double gini(std::vector<int64_t> exposure, double total) {
  std::ranges::sort(exposure);
  const auto n = double(exposure.size());
  double sum = 0;
  for (size_t i = 0; i < exposure.size(); i++) sum += (2.0 * double(i + 1) - n - 1) * double(exposure[i]);
  return sum / (n * total);
}

double novelty(std::span<const int64_t> exposure, double total, std::span<const int64_t> popularity) {
  const auto interactions = std::max<double>(1, std::accumulate(popularity.begin(), popularity.end(), int64_t{0}));
  double bits = 0;
  for (size_t i = 0; i < exposure.size(); i++)
    bits += double(exposure[i]) * std::log2(interactions / std::max<double>(1, popularity[i]));
  return bits / total;
}

}  // namespace

RankingMetrics::RankingMetrics(std::vector<int64_t> cutoffs, int64_t items, bool postponed)
    : cutoffs_(std::move(cutoffs)), items_(items) {
  for (const int64_t k : cutoffs_) require(k >= 1, "ranking metrics: cutoff {}, expected at least 1", k);
  std::ranges::sort(cutoffs_);
  cutoffs_.erase(std::unique(cutoffs_.begin(), cutoffs_.end()), cutoffs_.end());
  sums_.assign(cutoffs_.size(), OrderedSums(sums_per_cutoff, postponed));
  exposure_.resize(cutoffs_.size() * items_);
}

void RankingMetrics::add(std::span<const int32_t> ranked, std::span<const int32_t> relevant) {
  ranked = {ranked.begin(), std::ranges::find(ranked, -1)};
  for (const auto ids : {ranked, relevant})
    for (const int32_t id : ids)
      require(0 <= id && id < items_, "ranking metrics: item {}, expected 0..{}", id, items_ - 1);
  assert(std::ranges::adjacent_find(relevant, std::greater_equal{}) == relevant.end());
  if (relevant.empty()) return;

  users_++;
  const auto shown = std::ssize(ranked), wanted = std::ssize(relevant);
  double hits = 0, gain = 0, ideal_gain = 0, precisions = 0, reciprocal_rank = 0;
  int64_t rank = 0;  // ranks included in the sums above
  for (size_t c = 0; c < cutoffs_.size(); c++) {
    const int64_t k = cutoffs_[c];
    while (rank < std::min(k, std::max(shown, wanted))) {
      rank++;
      const double discounted = 1 / std::log2(double(rank + 1));
      if (rank <= wanted) ideal_gain += discounted;
      if (rank > shown) continue;
      const int32_t item = ranked[rank - 1];
      exposure_[c * items_ + item]++;
      if (!std::ranges::binary_search(relevant, item)) continue;
      hits++;
      gain += discounted;
      precisions += hits / double(rank);
      if (hits == 1) reciprocal_rank = 1 / double(rank);
    }
    const std::array<double, sums_per_cutoff> values = {hits / double(k),  hits / double(wanted),
                                                        gain / ideal_gain, precisions / double(std::min(k, wanted)),
                                                        reciprocal_rank,   std::min(hits, 1.0)};
    sums_[c].add(values);
  }
}

void RankingMetrics::merge(const RankingMetrics& other) {
  assert(cutoffs_ == other.cutoffs_ && items_ == other.items_);
  users_ += other.users_;
  for (size_t c = 0; c < sums_.size(); c++) sums_[c].add(other.sums_[c].sums());
  std::ranges::transform(exposure_, other.exposure_, exposure_.begin(), std::plus{});
}

std::vector<int64_t> RankingMetrics::counts() const {
  std::vector<int64_t> counts = {users_};
  counts.insert(counts.end(), exposure_.begin(), exposure_.end());
  return counts;
}

void RankingMetrics::set_counts(std::span<const int64_t> counts) {
  assert(counts.size() == exposure_.size() + 1);
  users_ = counts[0];
  std::ranges::copy(counts.subspan(1), exposure_.begin());
}

std::vector<Metric> RankingMetrics::finish(std::span<const int64_t> popularity) const {
  require(std::ssize(popularity) == items_, "ranking metrics: popularity of {} items, expected {}", popularity.size(),
          items_);
  std::vector<Metric> metrics;
  if (users_ == 0) return metrics;
  std::vector<int64_t> exposure(items_);
  for (size_t c = 0; c < cutoffs_.size(); c++) {
    const auto add = [&](const char* name, double value) {
      metrics.push_back({fmt::format("{}@{}", name, cutoffs_[c]), value});
    };
    for (size_t m = 0; const auto* name : {"precision", "recall", "ndcg", "map", "mrr", "hit_rate"})
      add(name, sums_[c].sums()[m++] / double(users_));

    const std::span further(exposure_.data() + c * items_, items_);
    std::ranges::transform(exposure, further, exposure.begin(), std::plus{});
    const auto total = double(std::accumulate(exposure.begin(), exposure.end(), int64_t{0}));
    add("coverage", double(items_ - std::ranges::count(exposure, 0)) / double(items_));
    if (total == 0) continue;
    add("gini", gini(exposure, total));
    add("novelty", novelty(exposure, total, popularity));
  }
  return metrics;
}

}  // namespace sartor
