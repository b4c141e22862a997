#include "metrics/ranking.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "base/require.h"

namespace sartor {
namespace {

constexpr int64_t sums_per_cutoff = 6;

// Checks, sorts and makes distinct.
std::vector<int64_t> ascending(std::vector<int64_t> cutoffs) {
  for (const int64_t k : cutoffs) require(k >= 1, "ranking metrics: cutoff {}, expected at least 1", k);
  std::ranges::sort(cutoffs);
  cutoffs.erase(std::unique(cutoffs.begin(), cutoffs.end()), cutoffs.end());
  return cutoffs;
}

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

RankingMetrics::RankingMetrics(std::vector<int64_t> cutoffs, int64_t items, int64_t blocks)
    : cutoffs_(ascending(std::move(cutoffs))),
      items_(items),
      discounts_(cutoffs_.empty() ? 1 : cutoffs_.back() + 1),
      sums_(blocks, 1 + sums_per_cutoff * std::ssize(cutoffs_)),
      exposure_(cutoffs_.size() * items_) {
  for (size_t rank = 1; rank < discounts_.size(); rank++) discounts_[rank] = 1 / std::log2(double(rank + 1));
}

void RankingMetrics::add(std::span<const int32_t> ranked, std::span<const int32_t> relevant, int64_t block) {
  ranked = {ranked.begin(), std::ranges::find(ranked, -1)};
  for (const auto ids : {ranked, relevant})
    for (const int32_t id : ids)
      require(0 <= id && id < items_, "ranking metrics: item {}, expected 0..{}", id, items_ - 1);
  assert(std::ranges::adjacent_find(relevant, std::greater_equal{}) == relevant.end());
  if (relevant.empty()) return;

  std::vector<double> values = {1};
  const auto shown = std::ssize(ranked), wanted = std::ssize(relevant);
  double hits = 0, gain = 0, ideal_gain = 0, precisions = 0, reciprocal_rank = 0;
  int64_t rank = 0;  // ranks included in the sums above
  for (size_t c = 0; c < cutoffs_.size(); c++) {
    const int64_t k = cutoffs_[c];
    while (rank < std::min(k, std::max(shown, wanted))) {
      rank++;
      if (rank <= wanted) ideal_gain += discounts_[rank];
      if (rank > shown) continue;
      const int32_t item = ranked[rank - 1];
      std::atomic_ref(exposure_[c * items_ + item]).fetch_add(1, std::memory_order_relaxed);
      if (!std::ranges::binary_search(relevant, item)) continue;
      hits++;
      gain += discounts_[rank];
      precisions += hits / double(rank);
      if (hits == 1) reciprocal_rank = 1 / double(rank);
    }
    values.insert(values.end(), {hits / double(k), hits / double(wanted), gain / ideal_gain,
                                 precisions / double(std::min(k, wanted)), reciprocal_rank, std::min(hits, 1.0)});
  }
  sums_.add(block, values);
}

void RankingMetrics::merge(const RankingMetrics& other) {
  assert(cutoffs_ == other.cutoffs_ && items_ == other.items_);
  sums_.merge(other.sums_.values());
  std::ranges::transform(exposure_, other.exposure_, exposure_.begin(), std::plus{});
}

int64_t RankingMetrics::users() const { return static_cast<int64_t>(sums_.total()[0]); }

std::vector<double> RankingMetrics::state() const {
  std::vector<double> state(sums_.values().begin(), sums_.values().end());
  state.insert(state.end(), exposure_.begin(), exposure_.end());
  return state;
}

void RankingMetrics::set_state(std::span<const double> state) {
  const auto sums = sums_.values();
  assert(state.size() == sums.size() + exposure_.size());
  std::ranges::copy(state.first(sums.size()), sums.begin());
  std::ranges::transform(state.subspan(sums.size()), exposure_.begin(),
                         [](double count) { return static_cast<int64_t>(count); });
}

std::vector<Metric> RankingMetrics::finish(std::span<const int64_t> popularity) const {
  require(std::ssize(popularity) == items_, "ranking metrics: popularity of {} items, expected {}", popularity.size(),
          items_);
  std::vector<Metric> metrics;
  const std::vector<double> sums = sums_.total();
  const double users = sums[0];
  if (users == 0) return metrics;
  std::vector<int64_t> exposure(items_);
  for (size_t c = 0; c < cutoffs_.size(); c++) {
    const auto add = [&](const char* name, double value) {
      metrics.push_back({fmt::format("{}@{}", name, cutoffs_[c]), value});
    };
    for (size_t at = 1 + c * sums_per_cutoff;
         const auto* name : {"precision", "recall", "ndcg", "map", "mrr", "hit_rate"})
      add(name, sums[at++] / users);

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
