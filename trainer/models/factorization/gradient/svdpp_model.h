// A model trained by SVD++, which can fold in new users.
#pragma once

#include <vector>

#include "models/factorization/als/als_model.h"

namespace sartor {

// rating(u, i) = mean + user_bias_u + item_bias_i + <item_i, user_u>
// user_u = p_u + n_u^-1/2 sum over the n_u rated items j of implicit_j
struct SvdppModel : AlsModel {
  std::vector<float> implicit;  // (I, f)

  SvdppModel() { algorithm = "svdpp"; }

  // Solves p and the bias of users for fixed items, like AlsModel, given which items they rated.
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;

  // Adds the second term to `users` (ratings.users(), f).
  void add_implicit(const UserRatings& ratings, std::vector<float>& users) const;

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

}  // namespace sartor
