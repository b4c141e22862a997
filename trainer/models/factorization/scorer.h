// Interface for recommendation with a trained model.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/views.h"
#include "similarity/topk.h"

namespace sartor {

// Lists of k items per user, best first, padded with -1 if fewer items are available.
struct RankedItems {
  int64_t k = 0;
  std::vector<int32_t> items;  // (users, k) indices of the model's items
  std::vector<float> scores;   // (users, k)

  std::span<const int32_t> of(int64_t user) const { return std::span(items).subspan(user * k, k); }

  // Merges lists of the same users or queries from another part of the items: the highest scores, ties in favor of the
  // lower index.
  void merge(const RankedItems& part);

  // Visits all members, to send them to another process.
  void transfer(auto& visit) {
    visit(k);
    visit(items);
    visit(scores);
  }
};

// Ratings of users, laid out as in cuda::Csr.
struct UserRatings {
  std::vector<int64_t> offsets = {0};  // (users + 1), starting with 0
  std::vector<int32_t> items;          // ascending within a user
  std::vector<float> values;

  int64_t users() const { return std::ssize(offsets) - 1; }
};

// What the score of each item of RankedItems is based on: the largest shares of it first. Empty for items that the
// model did not score.
struct Explanations {
  std::vector<int64_t> offsets = {0};  // (users * k + 1)
  std::vector<int32_t> ids;            // of items that the user rated, or of other users; see TrainedModel::reasons()
  std::vector<float> shares;           // of the score; those of an item sum up to 1 at most

  // Visits all members, to send them to another process.
  void transfer(auto& visit) {
    visit(offsets);
    visit(ids);
    visit(shares);
  }
};

struct ScorerOptions {
  std::vector<int32_t> offered = {};  // ascending indices of the items that may be recommended; empty for all
  cuda::TopkPrecision precision = cuda::TopkPrecision::fp32;  // of the products; not all models round
};

// Created by TrainedModel::scorer(). All arguments are on the host. The list of a user does not depend on the other
// users of the call.
//
//   excluded  ascending items to exclude for each user; rows = 0 for none
//   k         1 to offered()
class Scorer {
 public:
  virtual ~Scorer() = default;

  virtual int64_t offered() const = 0;  // number of items that can be recommended

  // Recommends items to users of the model, given by their indices.
  virtual RankedItems rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) = 0;

  // Folds in users from their ratings and recommends items to them. Throws std::invalid_argument if cannot_fold_in() of
  // the model is not empty.
  virtual RankedItems rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) = 0;

  // Explain lists that rank() gave for the same users, with up to `most` shares per item. Must be implemented if
  // reasons() of the model is not none.
  virtual Explanations explain(std::span<const int32_t>, const RankedItems&, int64_t) { return {}; }
  virtual Explanations explain(const UserRatings&, const RankedItems&, int64_t) { return {}; }
};

}  // namespace sartor
