// A model trained by non-negative matrix factorization, which can fold in new users.
#pragma once

#include <array>

#include "factorization/nonnegative/nonnegative.h"
#include "models/factorization/factor_model.h"
#include "schema/fields.h"

namespace sartor::cuda {

constexpr auto choices(NonnegativeSolver) {
  return std::to_array<Choice<NonnegativeSolver>>(
      {{"projected", NonnegativeSolver::projected}, {"multiplicative", NonnegativeSolver::multiplicative}});
}

}  // namespace sartor::cuda

namespace sartor {

struct NmfModel : FactorModel {
  bool biases = false;             // false: all biases are 0
  bool missing_are_zero = false;   // whether pairs without a rating had the target 0
  cuda::NonnegativeParams solver;  // parameters of the training

  NmfModel() { algorithm = "nmf"; }

  // Descends from 0 to the optimum of the users for fixed items.
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;
  std::string cannot_fold_in() const override { return ""; }

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
