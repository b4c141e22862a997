// Predictions from biases of users and items: rating(u, i) = mean + user_bias_u + item_bias_i (Koren 2010,
// section 2.1).
#pragma once

#include <span>
#include <vector>

#include "models/factorization/scorer.h"
#include "schema/fields.h"

namespace sartor {

struct BaselineConfig {
  double user_regularization = 15, item_regularization = 10;
  int64_t epochs = 10;

  template <class Fields> void describe(Fields& field) {
    field("user_regularization", user_regularization, at_least(0),
          "A user's bias is the sum of the remaining errors of n ratings divided by n + user_regularization.");
    field("item_regularization", item_regularization, at_least(0), "The same for items.");
    field("epochs", epochs, at_least(1), "Alternating passes over the biases of items and users.");
  }
};

struct Baseline {
  double mean = 0;
  std::vector<float> user_bias, item_bias;

  double rating(double user_bias, int64_t item) const { return mean + user_bias + item_bias[item]; }

  // The bias of a user with these ratings, for the biases of the items. 0 without ratings.
  double bias_of(std::span<const int32_t> items, std::span<const float> ratings, double regularization) const;
};

// Alternating least squares, as surprise has them: items first, from biases of 0.
Baseline fit_baseline(const UserRatings& by_user, const UserRatings& by_item, const BaselineConfig& config);

// Mean of each row; 0 for rows without entries.
std::vector<float> row_means(const UserRatings& rows);

}  // namespace sartor
