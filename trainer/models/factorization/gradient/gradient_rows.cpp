#include "models/factorization/gradient/gradient_rows.h"

#include <cmath>

#include "base/random.h"
#include "models/factorization/model_file.h"

namespace sartor {
namespace {

int64_t bias_column(GradientSide side) { return side == GradientSide::users ? 0 : 1; }

}  // namespace

GradientRows::GradientRows(cuda::Context& context, GradientSide side, std::span<const int64_t> offsets,
                           const InitialRows& initial)
    : side_(side),
      count_(std::ssize(offsets) - 1),
      factors_(initial.factors),
      columns_(cuda::sgd_columns(initial.factors)),
      rows_(context, count_ * columns_),
      weights_(context, count_),
      squares_(context, initial.adagrad ? count_ : 0) {
  squares_.fill_zero();
  const bool biased = initial.biased && side != GradientSide::implicit;
  std::vector<float> row(columns_), weights(count_);
  for (int64_t index = 0; index < count_; index++) {
    const int64_t ratings = offsets[index + 1] - offsets[index];
    const bool rated = ratings > 0;
    row[1 - bias_column(side)] = rated && biased ? 1.0f : 0.0f;
    for (int64_t f = 0; f < factors_; f++) {
      const double random = random_normal(initial.seed, initial.first + index * factors_ + f);
      row[cuda::sgd_bias_columns + f] = rated ? initial.scale * static_cast<float>(random) : 0;
    }
    rows_.write(row, index * columns_);
    weights[index] = rated ? std::pow(static_cast<float>(ratings), initial.weight_power) : 0;
  }
  weights_.write(weights);
}

cuda::SgdSide GradientRows::side() const {
  return {{rows_.data(), count_, columns_}, weights_.data(), squares_.size() > 0 ? squares_.data() : nullptr};
}

BlockedRows GradientRows::in(const Blocks& blocks) const {
  BlockedRows rows = {&blocks, {{rows_.data(), columns_}}};
  if (squares_.size() > 0) rows.arrays.push_back({squares_.data(), 1});
  return rows;
}

std::vector<float> GradientRows::factors() const {
  const std::vector<float> rows = finite(rows_, name());
  std::vector<float> factors(count_ * factors_);
  for (int64_t index = 0; index < count_; index++) {
    const auto row = rows.begin() + index * columns_ + cuda::sgd_bias_columns;
    std::copy(row, row + factors_, factors.begin() + index * factors_);
  }
  return factors;
}

std::vector<float> GradientRows::biases() const {
  const std::vector<float> rows = finite(rows_, name());
  std::vector<float> biases(count_);
  for (int64_t index = 0; index < count_; index++) biases[index] = rows[index * columns_ + bias_column(side_)];
  return biases;
}

std::string GradientRows::name() const {
  constexpr const char* names[] = {"users", "items", "implicit"};
  return names[static_cast<int>(side_)];
}

void GradientRows::write(datasets::Hdf5File& file) const {
  write_state(file, name() + "/rows", rows_);
  write_state(file, name() + "/squares", squares_);
}

void GradientRows::read(const datasets::Hdf5File& file) {
  read_state(file, name() + "/rows", rows_);
  read_state(file, name() + "/squares", squares_);
}

}  // namespace sartor
