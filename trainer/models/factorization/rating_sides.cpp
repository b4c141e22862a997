#include "models/factorization/rating_sides.h"

#include <numeric>

#include "base/require.h"

namespace sartor {

FactorSide read_side(cuda::Context& context, Collective& ranks, const datasets::StoredRatings& ratings, int64_t width) {
  SharePieces pieces(ratings.offsets(), als_cost(width), ranks);
  const auto [first, last] = pieces.share();
  const auto offsets = offsets_of_rows(ratings.offsets(), pieces.share());
  RatingBlocks blocks(context, offsets, pieces.bounds(), RatingBlocks::whole_bytes(offsets),
                      [&ratings, first](int64_t begin, int64_t end, auto columns, auto values) {
                        ratings.read(first + begin, first + end, columns, values);
                      });
  read_rows(ratings, first, last,
            [&](int64_t at, const auto& columns, const auto& values) { blocks.write(at, columns, values); });
  return {context, std::move(pieces), std::move(blocks), width};
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
