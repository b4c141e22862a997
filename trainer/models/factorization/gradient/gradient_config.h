// What the algorithms that are trained by stochastic gradient descent have in common: fields, and figures of the data.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "factorization/sgd/sgd.h"
#include "metrics/metric.h"
#include "models/factorization/als/als_model.h"
#include "models/factorization/gradient/gradient_rows.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct GradientConfig {
  int64_t factors = 64;
  float learning_rate = 0.01f;
  std::optional<float> bias_learning_rate;
  float learning_rate_decay = 1;
  float regularization = 0.8f;
  std::optional<float> bias_regularization;
  float regularization_power = 0.5f;
  float init_scale = 0.01f;
  int64_t seed = 42;
  int64_t epochs = 40;
  double popularity_weight = 0;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 65536), "Latent dimensions of users and items.");
    field("learning_rate", learning_rate, above(0), "Step size of the factors.");
    field("bias_learning_rate", bias_learning_rate, at_least(0), "Step size of the biases. Defaults to learning_rate.");
    field("learning_rate_decay", learning_rate_decay, Range{.low = 0, .high = 1, .open = true},
          "Multiplies the learning rates after each epoch.");
    field("regularization", regularization, at_least(0), "Weight of the squared factors in the loss.");
    field("bias_regularization", bias_regularization, at_least(0),
          "Weight of the squared biases in the loss. Defaults to regularization.");
    field("regularization_power", regularization_power, between(0, 1),
          "Multiplies the regularization of a user or item with n ratings by n^power: 0 for plain, 1 for the same "
          "weight in the loss of every rating.");
    field("init_scale", init_scale, at_least(0), "Standard deviation of the initial factors.");
    field("seed", seed, at_least(0), "Seed of the initial factors and of the order of training.");
    field("epochs", epochs, at_least(1), "Passes over the ratings.");
    field("popularity_weight", popularity_weight, at_least(0),
          "Recommendations are ranked by <user, item> + popularity_weight log(1 + n) for an item with n ratings, or by "
          "predicted rating if popularity_weight is 0.");
  }

  cuda::SgdParams params(int64_t epoch) const;  // of an epoch, counted from 0
  cuda::AlsParams loss() const;                 // the same loss, for solving new users
  // Of rows whose factors are the random numbers `first`, first + 1, ... of the seed.
  InitialRows initial_rows(int64_t first) const;
};

// Figures of the training ratings.
struct GradientData {
  double mean, rating_min, rating_max;
  std::vector<int64_t> item_count;

  // Throws std::invalid_argument if there are no training ratings.
  GradientData(const datasets::Prepared& data, bool with_mean);
};

// Root mean squared error, and the log-likelihood if the ratings have variance 1 (PMF).
std::vector<Metric> gradient_metrics(double squared_error, int64_t ratings);

// Sets what the models of all algorithms contain.
void set_factors(AlsModel& model, const GradientConfig& config, const GradientData& data, const GradientRows& users,
                 const GradientRows& items);

}  // namespace sartor
