// Metrics of recommendation lists: relevance for the users, and coverage and diversity of the catalog.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/metric.h"
#include "metrics/ordered_sums.h"

namespace sartor {

// Accumulates users one at a time and computes each metric at each cutoff k. Relevance is binary: R is the user's set
// of relevant items, and rel(r) is 1 if the item at rank r = 1, 2, ... is in R. Ranks past the end of a list have
// rel(r) = 0. Means over the users who have relevant items:
//
//   precision@k = hits / k, hits = sum_{r<=k} rel(r); the divisor is k for shorter lists, too
//   recall@k    = hits / |R|
//   ndcg@k      = sum_{r<=k} rel(r) / log2(r+1)  over  sum_{r<=min(k,|R|)} 1 / log2(r+1)   (Järvelin, Kekäläinen 2002;
//                 discount of Burges et al. 2005)
//   map@k       = sum_{r<=k} rel(r) precision@r / min(k, |R|)                              (McFee et al. 2012)
//   mrr@k       = 1 / rank of the first hit, 0 without a hit                               (Voorhees 1999)
//   hit_rate@k  = 1 if there is a hit, else 0                                              (Deshpande, Karypis 2004)
//
// Metrics of the catalog, also without users who have no relevant items. c_i is the number of top-k lists that contain
// item i of I:
//
//   coverage@k = items with c_i > 0, over I                                                (Ge et al. 2010)
//   gini@k     = sum_i (2i - I - 1) c_(i) / (I sum_i c_i), c_(1) <= ... <= c_(I): 0 if all items are recommended
//                equally often, 1 - 1/I if only one is                                     (Fleder, Hosanagar 2009)
//   novelty@k  = sum_i c_i log2(1 / p_i) / sum_i c_i, in bits (Zhou et al. 2010); p_i is the item's share of the
//                training interactions (Vargas, Castells 2011), of which an item has at least one
//
// Undefined metrics are omitted: all without users, gini and novelty if all lists are empty.
class RankingMetrics {
 public:
  // cutoffs: in any order; duplicates are ignored. postponed: see OrderedSums. Throws std::invalid_argument if a cutoff
  // is below 1.
  RankingMetrics(std::vector<int64_t> cutoffs, int64_t items, bool postponed = false);

  // Adds a user.
  // ranked    distinct item ids, best first; a -1 ends the list
  // relevant  item ids, strictly ascending
  // Throws std::invalid_argument, without adding the user, on ids outside 0 to items - 1.
  void add(std::span<const int32_t> ranked, std::span<const int32_t> relevant);

  // Adds the users of another instance with the same cutoffs and items. The order of merges affects rounding.
  void merge(const RankingMetrics& other);

  // The metrics by ascending cutoff, named "recall@10". popularity (items) is the number of training interactions of
  // each item. Throws std::invalid_argument if it has another size.
  std::vector<Metric> finish(std::span<const int64_t> popularity) const;

  int64_t users() const { return users_; }  // number of users with relevant items

  // For processes that add consecutive users: the sums at each cutoff, and the counts, which may be added in any order.
  std::span<OrderedSums> sums() { return sums_; }
  std::vector<int64_t> counts() const;
  void set_counts(std::span<const int64_t> counts);

 private:
  std::vector<int64_t> cutoffs_;  // strictly ascending
  int64_t items_;
  int64_t users_ = 0;
  std::vector<OrderedSums> sums_;  // (cutoffs) of precision, recall, ndcg, map, mrr, hit_rate
  std::vector<int64_t>
      exposure_;  // (cutoffs, items): recommendations at ranks from the previous cutoff (exclusive) to this one
};

}  // namespace sartor
