#include "models/factorization/gradient/svdpp_model.h"

#include <cmath>
#include <numeric>

#include "models/factorization/model_file.h"

namespace sartor {

void SvdppModel::add_implicit(const UserRatings& ratings, std::vector<float>& users) const {
  for (int64_t user = 0; user < ratings.users(); user++) {
    const int64_t begin = ratings.offsets[user], end = ratings.offsets[user + 1];
    const float norm = 1 / std::sqrt(static_cast<float>(end - begin));
    for (int64_t at = begin; at < end; at++) {
      const float* item = implicit.data() + ratings.items[at] * factors;
      for (int64_t f = 0; f < factors; f++) users[user * factors + f] += norm * item[f];
    }
  }
}

std::vector<float> SvdppModel::fold_in(cuda::Context& context, const UserRatings& ratings) const {
  std::vector<float> known(ratings.users() * factors);  // the term that needs no solving
  add_implicit(ratings, known);
  UserRatings rest = ratings;
  for (int64_t user = 0; user < ratings.users(); user++) {
    const auto of_user = known.begin() + user * factors;
    for (int64_t at = ratings.offsets[user]; at < ratings.offsets[user + 1]; at++) {
      const float* item = item_factors.data() + rest.items[at] * factors;
      rest.values[at] -= std::inner_product(of_user, of_user + factors, item, 0.0f);
    }
  }
  std::vector<float> users = AlsModel::fold_in(context, rest);
  for (size_t at = 0; at < users.size(); at++) users[at] += known[at];
  return users;
}

void SvdppModel::write_learned(datasets::Hdf5File& file) const {
  AlsModel::write_learned(file);
  file.create_matrix<float>("items/implicit", std::ssize(item_bias), factors).write(0, implicit);
}

void SvdppModel::read_learned(const datasets::Hdf5File& file) {
  AlsModel::read_learned(file);
  const auto matrix = file.matrix<float>("items/implicit");
  require(matrix.rows() == std::ssize(item_bias) && matrix.columns() == factors,
          "{}: has {} rows and {} columns, expected {} and {}", matrix.name(), matrix.rows(), matrix.columns(),
          item_bias.size(), factors);
  implicit = matrix.read();
  require_finite(implicit, matrix.name());
}

}  // namespace sartor
