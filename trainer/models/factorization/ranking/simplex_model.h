// A model trained by the cosine contrastive loss.
#pragma once

#include <optional>

#include "models/factorization/factor_model.h"

namespace sartor {

// Without biases; the factors of users and items are unit vectors, and rating(u, i) is their cosine.
struct SimplexModel : FactorModel {
  std::optional<float> threshold;  // ratings below it do not count

  SimplexModel() { algorithm = "simplex"; }

  // The direction of the sum of the vectors of the items. Users without ratings that count become 0.
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;
  std::string cannot_fold_in() const override { return ""; }
  std::vector<double> predict(int64_t, const UserRatings&) const override { return {}; }

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
