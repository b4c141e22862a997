#include "models/factorization/decomposition/svd.h"

#include <cmath>

#include "base/require.h"
#include "linear/leading_vectors.h"
#include "models/factorization/model_file.h"
#include "models/factorization/rating_sides.h"
#include "models/factorization/row_shares.h"
#include "storage/hdf5_file.h"

namespace sartor {
namespace {

using datasets::Hdf5File;

// Entries of a matrix by its columns.
UserRatings transposed(const UserRatings& matrix, int64_t columns) {
  UserRatings by_column = {std::vector<int64_t>(columns + 1), std::vector<int32_t>(matrix.items.size()),
                           std::vector<float>(matrix.items.size())};
  for (const int32_t column : matrix.items) by_column.offsets[column + 1]++;
  for (int64_t column = 0; column < columns; column++) by_column.offsets[column + 1] += by_column.offsets[column];
  std::vector<int64_t> next = by_column.offsets;
  for (int64_t row = 0; row < matrix.users(); row++) {
    for (int64_t at = matrix.offsets[row]; at < matrix.offsets[row + 1]; at++) {
      const int64_t place = next[matrix.items[at]]++;
      by_column.items[place] = static_cast<int32_t>(row);
      by_column.values[place] = matrix.values[at];
    }
  }
  return by_column;
}

cuda::Csr<const float> view(const UserRatings& matrix) {
  return {matrix.users(), matrix.offsets.data(), matrix.items.data(), matrix.values.data()};
}

UserRatings read_all(const datasets::StoredRatings& ratings) {
  UserRatings all = {ratings.offsets(), {}, {}};
  read_rows(ratings, 0, ratings.rows(), [&](int64_t, const auto& columns, const auto& values) {
    all.items.insert(all.items.end(), columns.begin(), columns.end());
    all.values.insert(all.values.end(), values.begin(), values.end());
  });
  return all;
}

}  // namespace

Svd::Svd(const SvdConfig& config, const datasets::Prepared& data, cuda::Context& context)
    : config_(config), context_(context) {
  require(!context.is_gpu(), "model.algorithm: svd runs on CPUs only, expected device: cpu");
  require(config.factors <= data.items, "model.factors is {}, expected at most the {} items of {}", config.factors,
          data.items, data.file.path().string());
  ratings_ = read_all(data.train);
  model_.factors = config.factors;
  model_.missing = config.missing;
  model_.shrinkage = config.missing == SvdMissing::baseline ? config.shrinkage : 0;
  model_.mean = mean_rating(data);
  model_.rating_min = config.missing == SvdMissing::zero ? std::min(0.0, data.rating_min) : data.rating_min;
  model_.rating_max = data.rating_max;
  model_.item_count = row_counts(data.train_by_item);
  model_.user_bias.resize(data.users);
  model_.item_bias.resize(data.items);
  model_.user_factors.resize(data.users * config.factors);
  model_.item_factors.resize(data.items * config.factors);
  model_.singular_values.resize(config.factors);
  subtract_baseline(data);
  weigh(data);
}

// Sets mean and biases.
void Svd::subtract_baseline(const datasets::Prepared& data) {
  if (config_.missing == SvdMissing::zero) model_.mean = 0;
  if (config_.missing == SvdMissing::item_mean || config_.missing == SvdMissing::baseline) {
    std::vector<double> sums(data.items);
    for (size_t at = 0; at < ratings_.items.size(); at++) sums[ratings_.items[at]] += ratings_.values[at] - model_.mean;
    for (int64_t item = 0; item < data.items; item++) {
      const double count = static_cast<double>(model_.item_count[item]) + model_.shrinkage;
      if (count > 0) model_.item_bias[item] = static_cast<float>(sums[item] / count);
    }
  }
  for (int64_t user = 0; user < data.users; user++) {
    const int64_t begin = ratings_.offsets[user], count = ratings_.offsets[user + 1] - begin;
    model_.user_bias[user] = model_.bias_of(std::span(ratings_.items).subspan(begin, count),
                                            std::span(ratings_.values).subspan(begin, count));
  }
}

void Svd::weigh(const datasets::Prepared& data) {
  model_.item_weight.assign(data.items, 1);
  if (config_.normalization == SvdNormalization::none) return;
  for (int64_t item = 0; item < data.items; item++) {
    const auto count = static_cast<float>(model_.item_count[item]);
    if (count > 0) model_.item_weight[item] = 1 / std::sqrt(count);
  }
}

void Svd::train_epoch() {
  UserRatings matrix = ratings_;
  for (int64_t user = 0; user < matrix.users(); user++) {
    const int64_t begin = matrix.offsets[user], end = matrix.offsets[user + 1];
    const bool normalized = config_.normalization == SvdNormalization::degrees;
    const float scale = normalized ? 1 / std::sqrt(static_cast<float>(end - begin)) : 1;
    for (int64_t at = begin; at < end; at++) {
      const int32_t item = matrix.items[at];
      const double rest = matrix.values[at] - model_.mean - model_.user_bias[user] - model_.item_bias[item];
      matrix.values[at] = static_cast<float>(rest) * scale * model_.item_weight[item];
    }
  }
  const int64_t items = std::ssize(model_.item_bias);
  const UserRatings by_item = transposed(matrix, items);
  cuda::leading_vectors(context_, {.matrix = view(matrix),
                                   .transposed = view(by_item),
                                   .oversampling = config_.oversampling,
                                   .iterations = config_.iterations,
                                   .seed = config_.seed,
                                   .values = model_.singular_values.data(),
                                   .vectors = {model_.item_factors.data(), items, config_.factors}});
  for (int64_t item = 0; item < items; item++) {
    for (int64_t f = 0; f < config_.factors; f++) {
      model_.item_factors[item * config_.factors + f] /= model_.item_weight[item];
    }
  }
  model_.user_factors = model_.fold_in(context_, ratings_);
}

void Svd::save(const std::filesystem::path& folder) const {
  require_finite(model_.item_factors, "items/factors");
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.svd_state", 1);
  write_list(file, "singular_values", model_.singular_values);
  write_list(file, "users/factors", model_.user_factors);
  write_list(file, "items/factors", model_.item_factors);
  file.close();
}

void Svd::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.svd_state", 1);
  model_.singular_values = read_list<float>(file, "singular_values", std::ssize(model_.singular_values));
  model_.user_factors = read_list<float>(file, "users/factors", std::ssize(model_.user_factors));
  model_.item_factors = read_list<float>(file, "items/factors", std::ssize(model_.item_factors));
}

}  // namespace sartor
