#include "models/factorization/gradient/rating_grid.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/factorization/gradient/shuffle.h"
#include "models/factorization/row_shares.h"

namespace sartor {
namespace {

// The block of each row. offsets: as in cuda::Csr.
std::vector<int32_t> random_blocks(const std::vector<int64_t>& offsets, int64_t blocks, uint64_t seed) {
  std::vector<int64_t> order(offsets.size() - 1);
  std::iota(order.begin(), order.end(), 0);
  shuffle(std::span(order), seed, 0);
  std::vector<int32_t> block(order.size());
  int64_t before = 0;  // ratings of the rows that are before the row in the random order
  for (const int64_t row : order) {
    const int64_t ratings = offsets[row + 1] - offsets[row];
    const double middle = static_cast<double>(before) + 0.5 * static_cast<double>(ratings);
    const double place = middle / static_cast<double>(offsets.back()) * static_cast<double>(blocks);
    block[row] = static_cast<int32_t>(std::min<int64_t>(static_cast<int64_t>(place), blocks - 1));
    before += ratings;
  }
  return block;
}

// Calls use(rating) for all ratings, by user.
template <class Use> void for_each_rating(const datasets::StoredRatings& ratings, double mean, Use use) {
  const auto& offsets = ratings.offsets();
  int64_t user = 0;
  read_rows(ratings, 0, ratings.rows(), [&](int64_t place, const auto& columns, const auto& values) {
    for (size_t at = 0; at < columns.size(); at++) {
      while (place + static_cast<int64_t>(at) >= offsets[user + 1]) user++;
      use(cuda::SgdRating{static_cast<int32_t>(user), columns[at], static_cast<float>(values[at] - mean)});
    }
  });
}

}  // namespace

int64_t grid_blocks(int64_t ratings, bool gpu) {
  const double ratings_per_cell = gpu ? 16 : 1024, most = gpu ? 512 : 64;
  return static_cast<int64_t>(std::clamp(std::sqrt(static_cast<double>(ratings) / ratings_per_cell), 1.0, most));
}

RatingGrid shuffled_grid(const datasets::Prepared& data, double mean, int64_t blocks, int64_t seed) {
  const auto random = [&](uint64_t purpose) { return random_bits(seed, purpose); };
  RatingGrid grid = {.blocks = blocks,
                     .cells = std::vector<int64_t>(blocks * blocks + 1),
                     .ratings = std::vector<cuda::SgdRating>(data.train.size()),
                     .user_block = random_blocks(data.train.offsets(), blocks, random(0)),
                     .item_block = random_blocks(data.train_by_item.offsets(), blocks, random(1))};
  const auto cell_of = [&](const cuda::SgdRating& rating) {
    return grid.user_block[rating.user] * blocks + grid.item_block[rating.item];
  };
  for_each_rating(data.train, mean, [&](const cuda::SgdRating& rating) { grid.cells[cell_of(rating) + 1]++; });
  std::partial_sum(grid.cells.begin(), grid.cells.end(), grid.cells.begin());
  auto next = grid.cells;  // place of the next rating of each cell
  for_each_rating(data.train, mean,
                  [&](const cuda::SgdRating& rating) { grid.ratings[next[cell_of(rating)]++] = rating; });
  for (int64_t cell = 0; cell < blocks * blocks; cell++) {
    const int64_t first = grid.cells[cell];
    shuffle(std::span(grid.ratings).subspan(first, grid.cells[cell + 1] - first), random(2), first);
  }
  return grid;
}

RatingGrid stored_order(const datasets::Prepared& data, double mean) {
  RatingGrid grid = {.blocks = 1,
                     .cells = {0, data.train.size()},
                     .user_block = std::vector<int32_t>(data.users),
                     .item_block = std::vector<int32_t>(data.items)};
  grid.ratings.reserve(data.train.size());
  for_each_rating(data.train, mean, [&](const cuda::SgdRating& rating) { grid.ratings.push_back(rating); });
  return grid;
}

}  // namespace sartor
