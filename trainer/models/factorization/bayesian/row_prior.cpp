#include "models/factorization/bayesian/row_prior.h"

#include <utility>

#include "models/factorization/model_file.h"

namespace sartor {
namespace {

constexpr double prior_observations = 2;

SquareMatrix products_of(const RowFeatures& features) {
  SquareMatrix products(features.columns);
  for (int64_t row = 0; row < features.rows(); row++) {
    for (int64_t a = features.offsets[row]; a < features.offsets[row + 1]; a++) {
      for (int64_t b = features.offsets[row]; b < features.offsets[row + 1]; b++) {
        products(features.places[a], features.places[b]) +=
            static_cast<double>(features.values[a]) * features.values[b];
      }
    }
  }
  return products;
}

// A matrix of the Wishart distribution whose scale matrix has the inverse R R^T: M M^T with M = R^-T times a triangle
// of random numbers (Bartlett 1933).
SquareMatrix draw_wishart(RandomStream& random, const SquareMatrix& inverse_scale, double degrees) {
  const int64_t n = inverse_scale.size;
  const SquareMatrix root = cholesky(inverse_scale);
  SquareMatrix columns(n);  // transposed: column j of M is row j
  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = j; i < n; i++) {
      columns(j, i) = i == j ? std::sqrt(random.chi_squared(degrees - static_cast<double>(i))) : random.normal();
    }
    solve_upper(root, std::span(columns.values).subspan(j * n, n));
  }
  SquareMatrix drawn(n);
  for (int64_t j = 0; j < n; j++) {
    for (int64_t a = 0; a < n; a++) {
      for (int64_t b = 0; b < n; b++) drawn(a, b) += columns(j, a) * columns(j, b);
    }
  }
  return drawn;
}

}  // namespace

RowPrior::RowPrior(int64_t columns, RowFeatures features)
    : columns_(columns),
      features_(std::move(features)),
      feature_products_(products_of(features_)),
      mean_(columns),
      precision_(columns),
      weights_(features_.columns * columns) {}

void RowPrior::draw(RandomStream& random, cuda::Context& context, const cuda::DeviceBuffer<float>& rows) {
  if (features_.columns == 0) return draw_mean_and_precision(random, context, rows);
  const std::vector<float> on_host = rows.to_host();
  std::vector<float> rest = on_host;
  subtract_features(rest);
  draw_mean_and_precision(random, context, {context, std::span<const float>(rest)});
  draw_weights(random, on_host);
}

// rest: the rows without the parts that their features explain.
void RowPrior::draw_mean_and_precision(RandomStream& random, cuda::Context& context,
                                       const cuda::DeviceBuffer<float>& rest) {
  const int64_t f = columns_, rows = rest.size() / f;
  const auto n = static_cast<double>(rows);
  const cuda::DeviceBuffer<double> sums(context, f), products(context, f * f);
  cuda::row_moments(context, {.rows = {rest.data(), rows, f}, .sum = sums.data(), .products = products.data()});
  const std::vector<double> sum = sums.to_host();
  SquareMatrix scatter(f);
  scatter.values = products.to_host();
  // sum (x - m)(x - m)^T + prior_observations n / (prior_observations + n) m m^T = sum x x^T - s s^T / observations
  const double observations = prior_observations + n;
  for (int64_t i = 0; i < f; i++) {
    for (int64_t j = 0; j < f; j++) {
      double& value = scatter(i, j);
      value += (i == j) - sum[i] * sum[j] / observations;
      for (int64_t d = 0; d < features_.columns; d++) value += weight_precision_ * weights(d)[i] * weights(d)[j];
    }
  }
  precision_ = draw_wishart(random, scatter, static_cast<double>(f + features_.columns) + n);
  for (double& value : mean_) value = random.normal() / std::sqrt(observations);
  solve_upper(cholesky(precision_), mean_);
  for (int64_t i = 0; i < f; i++) mean_[i] += sum[i] / observations;
}

// weights = K^-1 X^T (rows - mean) + K^-1/2 E precision^-1/2 with K = X^T X + weight_precision I and E of standard
// normal numbers.
void RowPrior::draw_weights(RandomStream& random, const std::vector<float>& rows) {
  const int64_t f = columns_, size = features_.columns;
  SquareMatrix system = feature_products_;
  for (int64_t d = 0; d < size; d++) system(d, d) += weight_precision_;
  const SquareMatrix root = cholesky(system), precision_root = cholesky(precision_);
  std::vector<double> columns(f * size);  // transposed
  for (int64_t row = 0; row < features_.rows(); row++) {
    for (int64_t at = features_.offsets[row]; at < features_.offsets[row + 1]; at++) {
      for (int64_t i = 0; i < f; i++) {
        columns[i * size + features_.places[at]] += features_.values[at] * (rows[row * f + i] - mean_[i]);
      }
    }
  }
  std::vector<double> noise(f);
  for (int64_t i = 0; i < f; i++) solve_lower(root, std::span(columns).subspan(i * size, size));
  for (int64_t d = 0; d < size; d++) {
    for (double& value : noise) value = random.normal();
    solve_upper(precision_root, noise);
    for (int64_t i = 0; i < f; i++) columns[i * size + d] += noise[i];
  }
  double squares = 0;
  for (int64_t i = 0; i < f; i++) {
    solve_upper(root, std::span(columns).subspan(i * size, size));
    for (int64_t d = 0; d < size; d++) weights_[d * f + i] = columns[i * size + d];
  }
  for (int64_t d = 0; d < size; d++) {
    for (int64_t i = 0; i < f; i++) {
      for (int64_t j = 0; j < f; j++) squares += weights(d)[i] * precision_(i, j) * weights(d)[j];
    }
  }
  weight_precision_ = random.gamma((1 + static_cast<double>(size * f)) / 2) / ((1 + squares) / 2);
}

// rows -= X weights
void RowPrior::subtract_features(std::vector<float>& rows) const {
  for (int64_t row = 0; row < features_.rows(); row++) {
    for (int64_t at = features_.offsets[row]; at < features_.offsets[row + 1]; at++) {
      const auto shares = weights(features_.places[at]);
      for (int64_t i = 0; i < columns_; i++) {
        rows[row * columns_ + i] -= features_.values[at] * static_cast<float>(shares[i]);
      }
    }
  }
}

std::vector<double> RowPrior::mean_of(int64_t row) const {
  std::vector<double> mean = mean_;
  for (int64_t at = features_.offsets[row]; at < features_.offsets[row + 1]; at++) {
    for (int64_t i = 0; i < columns_; i++) mean[i] += features_.values[at] * weights(features_.places[at])[i];
  }
  return mean;
}

std::vector<float> RowPrior::pull(int64_t first, int64_t last) const {
  const bool same = features_.columns == 0;
  std::vector<float> pulls;
  for (int64_t row = same ? last - 1 : first; row < last; row++) {
    const std::vector<double> mean = same ? mean_ : mean_of(row);
    for (int64_t i = 0; i < columns_; i++) {
      double sum = 0;
      for (int64_t j = 0; j < columns_; j++) sum += precision_(i, j) * mean[j];
      pulls.push_back(static_cast<float>(sum));
    }
  }
  return pulls;
}

std::vector<float> RowPrior::average() const {
  std::vector<double> sum(columns_);
  const int64_t rows = features_.rows();
  for (int64_t row = 0; row < rows; row++) {
    const auto mean = mean_of(row);
    for (int64_t i = 0; i < columns_; i++) sum[i] += mean[i] / static_cast<double>(rows);
  }
  if (rows == 0) sum = mean_;
  return {sum.begin(), sum.end()};
}

void RowPrior::save(datasets::Hdf5File& file, const std::string& side) const {
  write_list(file, side + "/prior/mean", mean_);
  write_list(file, side + "/prior/precision", precision_.values);
  write_list(file, side + "/prior/weights", weights_);
  write_list(file, side + "/prior/weight_precision", std::vector{weight_precision_});
}

void RowPrior::load(const datasets::Hdf5File& file, const std::string& side) {
  mean_ = read_list<double>(file, side + "/prior/mean", std::ssize(mean_));
  precision_.values = read_list<double>(file, side + "/prior/precision", std::ssize(precision_.values));
  weights_ = read_list<double>(file, side + "/prior/weights", std::ssize(weights_));
  weight_precision_ = read_list<double>(file, side + "/prior/weight_precision", 1).front();
}

}  // namespace sartor
