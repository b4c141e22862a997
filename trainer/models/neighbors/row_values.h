// What similarities compare: ratings that are weighted, centred and normalized, row by row.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "models/factorization/scorer.h"
#include "models/neighbors/baseline.h"
#include "schema/fields.h"
#include "sparse/row_similarity.h"

namespace sartor {

enum class NeighborSimilarity { cosine, pearson, adjusted_cosine, pearson_baseline, msd, jaccard, dot, given };
constexpr auto choices(NeighborSimilarity) {
  return std::to_array<Choice<NeighborSimilarity>>({{"cosine", NeighborSimilarity::cosine},
                                                    {"pearson", NeighborSimilarity::pearson},
                                                    {"adjusted_cosine", NeighborSimilarity::adjusted_cosine},
                                                    {"pearson_baseline", NeighborSimilarity::pearson_baseline},
                                                    {"msd", NeighborSimilarity::msd},
                                                    {"jaccard", NeighborSimilarity::jaccard},
                                                    {"dot", NeighborSimilarity::dot},
                                                    {"given", NeighborSimilarity::given}});
}

enum class MissingRatings { zero, co_rated };
constexpr auto choices(MissingRatings) {
  return std::to_array<Choice<MissingRatings>>(
      {{"zero", MissingRatings::zero}, {"co_rated", MissingRatings::co_rated}});
}

enum class RowWeights { none, binary, tfidf, bm25 };
constexpr auto choices(RowWeights) {
  return std::to_array<Choice<RowWeights>>({{"none", RowWeights::none},
                                            {"binary", RowWeights::binary},
                                            {"tfidf", RowWeights::tfidf},
                                            {"bm25", RowWeights::bm25}});
}

// What is compared, and how.
struct RowValuesConfig {
  NeighborSimilarity similarity = NeighborSimilarity::cosine;
  MissingRatings missing = MissingRatings::zero;
  RowWeights weights = RowWeights::none;
  double bm25_k1 = 1.2, bm25_b = 0.75;
  int64_t min_support = 1;
  double shrinkage = 0;
  bool keep_negative = false;

  template <class Fields> void describe(Fields& field) {
    field("similarity", similarity,
          "Similarity of two users, or of two items. cosine. pearson: correlation. adjusted_cosine: cosine after the "
          "mean of each user was subtracted from the ratings of items (Sarwar et al. 2001), or that of each item from "
          "the ratings of users. pearson_baseline: cosine of the errors of the baseline. msd: 1 / (1 + mean squared "
          "difference). jaccard: common ratings as a share of all. dot: sum of products. given: from the table "
          "similarities.");
    field("missing", missing,
          "Ratings that only one of the two has. zero: they count in the lengths of both (and in the means of "
          "pearson), as if the other rating were 0 or the mean. co_rated: only common ratings count. msd and jaccard "
          "have one meaning each.");
    field("weights", weights,
          "Changes ratings before they are compared: binary: 1. tfidf: square root of the rating times the logarithm "
          "of the inverse frequency of the user (for item_knn) or item (for user_knn). bm25: the same with saturating "
          "ratings and lengths. The last two are as in implicit, which combines bm25 with similarity: dot.");
    field("bm25_k1", bm25_k1, at_least(0),
          "Rating of a row of average length at which bm25 reaches half of its limit.");
    field("bm25_b", bm25_b, between(0, 1), "How far bm25 divides ratings by the relative length of the row.");
    field("min_support", min_support, at_least(1), "Minimum number of common ratings of neighbors.");
    field("shrinkage", shrinkage, at_least(0),
          "Multiplies similarities by m / (m + shrinkage), for n common ratings: m = n - 1 for msd and if missing is "
          "co_rated, otherwise m = n.");
    field("keep_negative", keep_negative, "Whether similarities below 0 count.");
  }
  void check() const;

  cuda::RowSimilarityParams params(int64_t k) const;
  // Whether sums run over common ratings only.
  bool only_co_rated() const;
};

// The change of ratings into values, with the statistics of the rows that it was fitted to.
class RowValues {
 public:
  RowValues() = default;
  // baseline: of the same ratings; needed for pearson_baseline only, with the biases of the columns.
  RowValues(const RowValuesConfig& config, const UserRatings& rows, int64_t columns, double mean,
            std::span<const float> column_bias);

  // The values of these rows, whose biases are needed for pearson_baseline. Throws std::invalid_argument if weights do
  // not take a rating.
  UserRatings of(const UserRatings& rows, std::span<const float> row_bias) const;

 private:
  void weigh(UserRatings& rows) const;
  void center(UserRatings& rows, std::span<const float> row_bias) const;

  RowValuesConfig config_;
  double mean_ = 0, average_length_ = 0;
  std::vector<float> column_weight_, column_mean_, column_bias_;
};

}  // namespace sartor
