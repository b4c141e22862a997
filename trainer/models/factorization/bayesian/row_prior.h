// The prior of the rows of one side of a Bayesian matrix factorization.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/device_buffer.h"
#include "factorization/bayesian/posterior.h"
#include "models/factorization/bayesian/random_stream.h"
#include "models/factorization/bayesian/row_features.h"
#include "models/factorization/bayesian/square_matrix.h"
#include "storage/hdf5_file.h"

namespace sartor {

// The model of n rows z_r with F numbers and features x_r (D, possibly none):
//
//   z_r ~ N(mean + weights^T x_r, precision^-1)
//   mean, precision ~ normal-Wishart with mean 0, 2 observations, scale I and F degrees of freedom
//                     (Salakhutdinov and Mnih 2008, equation 7)
//   weights (D, F): rows ~ N(0, (weight_precision precision)^-1), weight_precision ~ gamma(1 / 2, 1 / 2)
//                     (Simm et al. 2017, Macau)
class RowPrior {
 public:
  RowPrior(int64_t columns, RowFeatures features);

  // Draws all parameters given the rows (n, F).
  void draw(RandomStream& random, cuda::Context& context, const cuda::DeviceBuffer<float>& rows);

  std::vector<float> precision() const { return {precision_.values.begin(), precision_.values.end()}; }  // (F, F)
  // precision times the prior means of rows first to last - 1; a single row, which holds for all, without features.
  std::vector<float> pull(int64_t first, int64_t last) const;
  // Prior mean of a row with average features.
  std::vector<float> average() const;

  void save(datasets::Hdf5File& file, const std::string& side) const;
  void load(const datasets::Hdf5File& file, const std::string& side);

 private:
  std::vector<double> mean_of(int64_t row) const;
  void draw_mean_and_precision(RandomStream& random, cuda::Context& context, const cuda::DeviceBuffer<float>& rest);
  void draw_weights(RandomStream& random, const std::vector<float>& rows);
  void subtract_features(std::vector<float>& rows) const;
  std::span<const double> weights(int64_t feature) const {
    return std::span(weights_).subspan(feature * columns_, columns_);
  }

  int64_t columns_;
  RowFeatures features_;
  SquareMatrix feature_products_;  // X^T X
  std::vector<double> mean_;       // (F)
  SquareMatrix precision_;         // (F, F)
  std::vector<double> weights_;    // (D, F)
  double weight_precision_ = 1;
};

}  // namespace sartor
