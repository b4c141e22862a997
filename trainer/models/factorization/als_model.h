// Factors found by explicit alternating least squares, and how they take in new users.
#pragma once

#include "factorization/als.h"
#include "models/factorization/factor_model.h"

namespace sartor {

struct AlsModel : FactorModel {
  bool biases = true;      // false: all biases are 0, those of new users too
  cuda::AlsParams solver;  // how the factors of users were found

  AlsModel() { algorithm = "als"; }

  // As an epoch finds the factors of users: one als_update, the items fixed.
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;
  std::string cannot_fold_in() const override { return factors == 0 ? FactorModel::cannot_fold_in() : ""; }

 protected:
  void write_learnt(datasets::Hdf5File& file) const override;
  void read_learnt(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
