#include "models/factorization/rating_sides.h"

#include <numeric>

#include "base/require.h"

namespace sartor {

FactorSide read_side(cuda::Context& context, Collective& ranks, const datasets::StoredRatings& ratings, int64_t width) {
  auto bounds = row_shares(ratings.offsets(), width, ranks.size());
  const int64_t first = bounds[ranks.rank()], last = bounds[ranks.rank() + 1];
  std::vector<int64_t> own;
  for (int64_t row = first; row <= last; row++) own.push_back(ratings.offsets()[row] - ratings.offsets()[first]);
  FactorSide side(context, std::move(bounds), ranks.rank(), own, width);
  read_rows(ratings, first, last, [&](int64_t at, const auto& columns, const auto& values) {
    side.columns.write(columns, at);
    side.values.write(values, at);
  });
  return side;
}

double mean_rating(const datasets::Prepared& data) {
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  double sum = 0;
  read_rows(data.train, 0, data.users, [&](int64_t, const auto&, const auto& values) {
    sum = std::accumulate(values.begin(), values.end(), sum);
  });
  return sum / static_cast<double>(data.train.size());
}

std::vector<int64_t> row_counts(const datasets::StoredRatings& ratings) {
  std::vector<int64_t> counts;
  for (int64_t row = 0; row < ratings.rows(); row++) {
    counts.push_back(ratings.offsets()[row + 1] - ratings.offsets()[row]);
  }
  return counts;
}

}  // namespace sartor
