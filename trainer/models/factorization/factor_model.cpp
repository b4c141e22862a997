#include "models/factorization/factor_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/require.h"
#include "models/factorization/factor_ranker.h"
#include "models/factorization/model_file.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

void write_side(Hdf5File& file, const std::string& side, cuda::Rows<const float> factors,
                const std::vector<float>& bias) {
  file.create_matrix<float>(side + "/factors", factors.rows, factors.columns)
      .write(0, {factors.data, static_cast<size_t>(factors.rows * factors.columns)});
  write_list(file, side + "/bias", bias);
}

struct Side {
  std::vector<float> factors, bias;
  int64_t columns;
};

Side read_side(const Hdf5File& file, const std::string& name, int64_t ids) {
  const auto factors = file.matrix<float>(name + "/factors");
  require(factors.rows() == ids, "{}: has {} rows for {} ids", factors.name(), factors.rows(), ids);
  Side side = {factors.read(), read_finite(file, name + "/bias", ids), factors.columns()};
  require_finite(side.factors, factors.name());
  return side;
}

}  // namespace

double FactorModel::rating(int64_t user, int64_t item) const {
  const float* x = user_factors.data() + user * factors;
  const float* y = item_factors.data() + item * factors;
  double sum = mean + user_bias[user] + item_bias[item];
  for (int64_t f = 0; f < factors; f++) sum += static_cast<double>(x[f]) * y[f];
  return std::clamp(sum, rating_min, rating_max);
}

std::vector<float> FactorModel::fold_in(cuda::Context&, const UserRatings&) const {
  throw std::invalid_argument(cannot_fold_in());
}

FactorModel::FoldIn FactorModel::folding(cuda::Context& context) const {
  return [this, &context](const UserRatings& ratings) { return fold_in(context, ratings); };
}

std::string FactorModel::cannot_fold_in() const {
  return factors == 0 ? "a model without factors cannot fold in new users"
                      : fmt::format("a model of algorithm {} cannot fold in new users", algorithm);
}

// The factors of users without training ratings are 0.
bool FactorModel::knows(int64_t user) const {
  const float* row = user_rows().row(user);
  return factors == 0 || std::any_of(row, row + factors, [](float factor) { return factor != 0; });
}

std::vector<double> FactorModel::predict(int64_t first, const UserRatings& pairs) const {
  std::vector<double> ratings;
  for (int64_t user = 0; user < pairs.users(); user++) {
    for (int64_t at = pairs.offsets[user]; at < pairs.offsets[user + 1]; at++) {
      ratings.push_back(rating(first + user, pairs.items[at]));
    }
  }
  return ratings;
}

std::unique_ptr<Scorer> FactorModel::scorer(cuda::Context& context, ScorerOptions options) const {
  return std::make_unique<FactorRanker>(context, *this, std::move(options));
}

int64_t FactorModel::scorer_bytes(cuda::Context& context, int64_t items, cuda::TopkPrecision precision) const {
  return RowRanker::bytes(context.is_gpu(), items, factors, {cuda::Similarity::dot, precision});
}

void FactorModel::write_learned(Hdf5File& file) const {
  file.set_attribute("mean", mean);
  file.set_attribute("popularity_weight", popularity_weight);
  write_side(file, "users", user_rows(), user_bias);
  write_side(file, "items", item_rows(), item_bias);
}

void FactorModel::read_learned(const Hdf5File& file) {
  mean = file.double_attribute("mean");
  popularity_weight = file.double_attribute("popularity_weight");
  Side of_users = read_side(file, "users", users.size()), of_items = read_side(file, "items", items.size());
  require(of_users.columns == of_items.columns, "{}: users have {} factors, items {}", file.path().string(),
          of_users.columns, of_items.columns);
  factors = of_users.columns;
  user_factors = std::move(of_users.factors);
  user_bias = std::move(of_users.bias);
  item_factors = std::move(of_items.factors);
  item_bias = std::move(of_items.bias);
}

}  // namespace sartor
