// Config of user_knn and item_knn.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "models/neighbors/baseline.h"
#include "models/neighbors/neighbor_lists.h"
#include "models/neighbors/row_values.h"
#include "tables/table_files.h"

namespace sartor {

enum class NeighborPrediction { sum, mean, weighted_mean, centred, baseline };
constexpr auto choices(NeighborPrediction) {
  return std::to_array<Choice<NeighborPrediction>>({{"sum", NeighborPrediction::sum},
                                                    {"mean", NeighborPrediction::mean},
                                                    {"weighted_mean", NeighborPrediction::weighted_mean},
                                                    {"centred", NeighborPrediction::centred},
                                                    {"baseline", NeighborPrediction::baseline}});
}

enum class NeighborDirection { own, reverse };
constexpr auto choices(NeighborDirection) {
  return std::to_array<Choice<NeighborDirection>>(
      {{"own", NeighborDirection::own}, {"reverse", NeighborDirection::reverse}});
}

// How neighbors' ratings become a prediction.
struct PredictionConfig {
  NeighborPrediction prediction = NeighborPrediction::baseline;
  std::optional<int64_t> k;
  int64_t min_neighbors = 1;
  double amplification = 1;
  NeighborDirection direction = NeighborDirection::own;

  template <class Fields> void describe(Fields& field) {
    field("prediction", prediction,
          "Score of an item for a user, from ratings r of the neighbors with similarities w. sum: sum w r, which ranks "
          "items but predicts no ratings; for purchases and clicks. mean: mean of r. weighted_mean: sum w r / sum |w|. "
          "centred: the same of the differences from the means of the users (user_knn) or items (item_knn). baseline: "
          "the same of the differences from the baseline.");
    field("k", k, at_least(1),
          "Number of neighbors per prediction: the most similar ones that have rated the item (user_knn) or that the "
          "user has rated (item_knn). Defaults to all.");
    field("min_neighbors", min_neighbors, at_least(1),
          "Predictions with fewer neighbors are those of the baseline; if prediction is sum, such items come last, by "
          "popularity.");
    field("amplification", amplification, above(0),
          "Similarities are raised to this power, with their signs (Breese et al. 1998).");
    field("direction", direction,
          "own: the neighbors in the list of the user (user_knn) or of the item (item_knn) whose rating is predicted. "
          "reverse: those in whose lists it is, as in implicit.");
  }

  bool predicts_ratings() const { return prediction != NeighborPrediction::sum; }
};

struct NeighborsConfig {
  RowValuesConfig values;
  int64_t neighbors = 200;
  PredictionConfig prediction;
  BaselineConfig baseline;
  std::optional<GivenSimilaritiesConfig> similarities;

  template <class Fields> void describe(Fields& field) {
    values.describe(field);
    field("neighbors", neighbors, at_least(1), "Neighbors that are kept of each user or item: the most similar ones.");
    prediction.describe(field);
    field("baseline", baseline, "Biases of users and items.");
    field("similarities", similarities, "Table of similarities, if similarity is given.");
  }
  void check() const {
    values.check();
    const bool given = values.similarity == NeighborSimilarity::given;
    require(given || !similarities, "similarities is set, which requires similarity: given");
    require(!given || similarities, "similarity is given, which requires similarities");
  }
  std::vector<std::filesystem::path> reads() const {
    return similarities ? datasets::files_to_read(similarities->table) : std::vector<std::filesystem::path>();
  }
};

}  // namespace sartor
