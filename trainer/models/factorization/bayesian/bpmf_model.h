// A model trained by Bayesian matrix factorization: samples of the factors, over which predictions are averaged.
#pragma once

#include <span>
#include <vector>

#include "models/factorization/factor_model.h"

namespace sartor {

// The factors of a row are those of all samples, one after the other, divided by sqrt(samples), so that the dot product
// of a user and an item is the mean over the samples of theirs. The biases are means over the samples.
struct BpmfModel : FactorModel {
  int64_t samples = 1;
  bool biases = true;                              // false: all biases are 0
  std::vector<float> user_sample_bias;             // (U, samples)
  std::vector<float> item_sample_bias;             // (I, samples)
  std::vector<float> prior_mean, prior_precision;  // of users, per sample: (samples, F), (samples, F, F)
  std::vector<float> noise_precision;              // (samples)

  BpmfModel() { algorithm = "bpmf"; }

  int64_t factors_of_sample() const { return factors / samples; }
  int64_t columns() const { return factors_of_sample() + biases; }  // F: factors and bias of a sample

  // Standard deviations over the samples of the predicted ratings of items for a user: how uncertain the model is of
  // the mean rating, apart from the noise of single ratings.
  bool has_spread() const override { return true; }
  std::vector<double> spread(int64_t user, std::span<const int32_t> items) const override;

  // Posterior means of the users, given the items of each sample.
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;
  std::string cannot_fold_in() const override { return ""; }
  // Users without training ratings are known by their features, if at all.
  bool knows(int64_t user) const override;

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
