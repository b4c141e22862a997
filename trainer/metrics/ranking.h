// How good recommendation lists are: what users find in them, and what they do to the catalogue.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// Takes one user at a time and gives every measure at every cutoff k. Relevance is binary: R is the user's set of
// relevant items and rel(r) is 1 if the item at rank r = 1, 2, ... is in it. Ranks past the end of a list have
// rel(r) = 0, so an empty list scores 0. The first six are means over the users who have relevant items:
//
//   precision@k = hits / k, hits = sum_{r<=k} rel(r); the divisor is k for shorter lists too
//   recall@k    = hits / |R|
//   ndcg@k      = sum_{r<=k} rel(r) / log2(r+1)  over  sum_{r<=min(k,|R|)} 1 / log2(r+1)   (Järvelin, Kekäläinen 2002;
//                 discount of Burges et al. 2005)
//   map@k       = sum_{r<=k} rel(r) precision@r / min(k, |R|)                              (McFee et al. 2012)
//   mrr@k       = 1 / rank of the first hit, 0 if there is none up to k                    (Voorhees 1999)
//   hit_rate@k  = 1 if there is a hit, else 0                                              (Deshpande, Karypis 2004)
//
// Users without relevant items count nowhere. With c_i the number of the others' top-k lists that hold item i of I:
//
//   coverage@k = items with c_i > 0, over I                                                (Ge et al. 2010)
//   gini@k     = sum_i (2i - I - 1) c_(i) / (I sum_i c_i), c_(1) <= ... <= c_(I): 0 if all items are shown
//                equally often, 1 - 1/I if only one is                                     (Fleder, Hosanagar 2009)
//   novelty@k  = sum_i c_i log2(1 / p_i) / sum_i c_i, in bits (Zhou et al. 2010), p_i the item's share of the training
//                interactions (Vargas, Castells 2011); an item without any is taken to have one
//
// What does not exist is left out, never NaN: all values without users, gini and novelty if all lists are empty.
class RankingMetrics {
 public:
  // cutoffs: any order, repetitions count once. Throws std::invalid_argument if one is below 1.
  RankingMetrics(std::vector<int64_t> cutoffs, int64_t items);

  // ranked    distinct item ids, best first; the list ends at its end or at the first -1
  // relevant  item ids, strictly ascending
  // Throws std::invalid_argument on ids outside 0..items-1 and then leaves the sums as they were.
  void add(std::span<const int32_t> ranked, std::span<const int32_t> relevant);

  // Adds another's users; cutoffs and items must be the same. The order of merges may show in the last bits.
  void merge(const RankingMetrics& other);

  // popularity (items): training interactions. The names above with the cutoff, "recall@10", by ascending cutoff.
  // Throws std::invalid_argument on another size.
  std::vector<Metric> finish(std::span<const int64_t> popularity) const;

  int64_t users() const { return users_; }  // who have relevant items

 private:
  using UserSums = std::array<double, 6>;  // precision, recall, ndcg, map, mrr, hit_rate

  std::vector<int64_t> cutoffs_;  // strictly ascending
  int64_t items_;
  int64_t users_ = 0;
  std::vector<UserSums> sums_;     // (cutoffs)
  std::vector<int64_t> exposure_;  // (cutoffs, items): times shown at ranks above the previous cutoff, up to this one
};

}  // namespace sartor
