// A model trained by alternating least squares, which can fold in new users.
#pragma once

#include "factorization/als.h"
#include "models/factorization/factor_model.h"

namespace sartor {

struct AlsModel : FactorModel {
  bool biases = true;      // false: all biases are 0, also those of new users
  cuda::AlsParams solver;  // parameters of the training

  AlsModel() { algorithm = "als"; }

  // Solves users like an epoch of the training: one als_update with fixed items.
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;
  FoldIn folding(cuda::Context& context) const override;
  std::string cannot_fold_in() const override { return factors == 0 ? FactorModel::cannot_fold_in() : ""; }
  std::string cannot_fold_in_items() const override { return cannot_fold_in(); }

 protected:
  void learn_items(cuda::Context& context, const UserRatings& ratings) override;
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
