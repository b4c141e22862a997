// A trained model that scores by dot products of user and item factors.
#pragma once

#include <functional>

#include "models/factorization/trained_model.h"

namespace sartor {

// rating(u, i) = mean + user_bias_u + item_bias_i + <user_u, item_i>
struct FactorModel : TrainedModel {
  int64_t factors = 0;                            // f; 0 if the model has only biases
  double mean = 0;                                // global mean of the training ratings
  std::vector<float> user_factors, item_factors;  // (U, f), (I, f)
  std::vector<float> user_bias, item_bias;        // (U), (I)
  double popularity_weight = 0;                   // see FactorRanker

  cuda::Rows<const float> user_rows() const { return {user_factors.data(), std::ssize(user_bias), factors}; }
  cuda::Rows<const float> item_rows() const { return {item_factors.data(), std::ssize(item_bias), factors}; }
  double rating(int64_t user, int64_t item) const;  // clipped

  // Computes factors (users, f) of users from their ratings alone. The default throws std::invalid_argument with
  // cannot_fold_in(); algorithms that can fold in users override both.
  virtual std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const;

  // The same as a function for several calls, which may keep on the device what depends on the model alone. The default
  // calls fold_in(). Must outlive neither the context nor the model.
  using FoldIn = std::function<std::vector<float>(const UserRatings&)>;
  virtual FoldIn folding(cuda::Context& context) const;

  std::string cannot_fold_in() const override;

  bool knows(int64_t user) const override;
  std::vector<double> predict(int64_t first, const UserRatings& pairs) const override;
  std::unique_ptr<Scorer> scorer(cuda::Context& context, ScorerOptions options) const override;
  int64_t scorer_bytes(cuda::Context& context, int64_t items, cuda::TopkPrecision precision) const override;
  Vectors take_item_vectors() override { return {std::move(item_factors), factors}; }
  Vectors take_user_vectors() override { return {std::move(user_factors), factors}; }

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
