// Metrics of recommendation lists: relevance for the users, and coverage and diversity of the catalog.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/metric.h"
#include "metrics/ordered_sums.h"

namespace sartor {

// Accumulates users in blocks (ordered_sums.h) and computes each metric at each cutoff k. Relevance is binary: R is the
// user's set of relevant items, and rel(r) is 1 if the item at rank r = 1, 2, ... is in R. Ranks past the end of a list
// have rel(r) = 0. Means over the users who have relevant items:
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
  // cutoffs: in any order; duplicates are ignored. blocks: number of blocks of users. Throws std::invalid_argument if a
  // cutoff is below 1.
  RankingMetrics(std::vector<int64_t> cutoffs, int64_t items, int64_t blocks = 1);

  // Adds a user to a block. Users of different blocks may be added at the same time.
  // ranked    distinct item ids, best first; a -1 ends the list
  // relevant  item ids, strictly ascending; a user without any is not counted
  // Throws std::invalid_argument, without adding the user, on ids outside 0 to items - 1.
  void add(std::span<const int32_t> ranked, std::span<const int32_t> relevant, int64_t block = 0);

  // Adds the users of another instance with the same cutoffs, items and blocks. The order of merges does not affect
  // rounding if the two have no block in common.
  void merge(const RankingMetrics& other);

  // The metrics by ascending cutoff, named "recall@10". popularity (items) is the number of training interactions of
  // each item. Throws std::invalid_argument if it has another size.
  std::vector<Metric> finish(std::span<const int64_t> popularity) const;

  int64_t users() const;  // number of users with relevant items

  // All that merge() adds, as numbers that processes with different blocks can sum.
  std::vector<double> state() const;
  void set_state(std::span<const double> state);

 private:
  std::vector<int64_t> cutoffs_;  // strictly ascending
  int64_t items_;
  std::vector<double> discounts_;  // (last cutoff + 1): 1 / log2(rank + 1) of each rank from 1 on
  OrderedSums sums_;               // of 1 per user, then (cutoffs) precision, recall, ndcg, map, mrr, hit_rate
  std::vector<int64_t>
      exposure_;  // (cutoffs, items): recommendations at ranks from the previous cutoff (exclusive) to this one
};

}  // namespace sartor
