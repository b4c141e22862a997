#include "factorization/ranking/pair_grid.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "core/parallel_for.h"
#include "factorization/ranking/draws.h"

namespace sartor::cuda {
namespace {

// Fisher-Yates.
template <class Swap> void shuffle(int64_t size, Draws draws, Swap swap) {
  for (int64_t last = size - 1; last > 0; last--) swap(last, draws.below(last + 1));
}

void shuffle_items(int64_t items, int64_t blocks, Draws draws, PairGrid& grid) {
  grid.item_order.resize(items);
  std::iota(grid.item_order.begin(), grid.item_order.end(), 0);
  shuffle(items, draws, [&](int64_t a, int64_t b) { std::swap(grid.item_order[a], grid.item_order[b]); });
  grid.item_bounds.resize(blocks + 1);
  for (int64_t block = 0; block <= blocks; block++) grid.item_bounds[block] = items * block / blocks;
}

// First users of the blocks.
std::vector<int64_t> user_bounds(const IdLists& pairs, int64_t blocks) {
  const std::span offsets(pairs.offsets, pairs.rows + 1);
  std::vector<int64_t> bounds;
  for (int64_t block = 0; block < blocks; block++) {
    bounds.push_back(std::ranges::lower_bound(offsets, offsets.back() * block / blocks) - offsets.begin());
  }
  bounds.push_back(pairs.rows);
  return bounds;
}

}  // namespace

void plan_pairs(const IdLists& pairs, int64_t items, int64_t blocks, uint64_t seed, int threads, PairGrid& grid,
                int64_t first_row, int64_t last_row) {
  if (last_row == all_blocks) last_row = blocks;
  const int64_t size = pairs.offsets[pairs.rows];
  grid.blocks = blocks;
  grid.cells.assign(blocks * blocks + 1, size);
  grid.users.resize(size);
  grid.items.resize(size);
  shuffle_items(items, blocks, Draws(seed, blocks * blocks), grid);
  std::vector<int32_t> block_of(items);
  for (int64_t block = 0; block < blocks; block++) {
    for (int64_t at = grid.item_bounds[block]; at < grid.item_bounds[block + 1]; at++) {
      block_of[grid.item_order[at]] = static_cast<int32_t>(block);
    }
  }
  grid.user_bounds = user_bounds(pairs, blocks);
  const auto& bounds = grid.user_bounds;
  grid.cells[last_row * blocks] = pairs.offsets[bounds[last_row]];
  parallel_for(threads, last_row - first_row, 1, [&](int64_t place, int64_t, int) {
    const int64_t row = first_row + place;  // of the grid: all pairs of its users
    std::vector<int64_t> next(blocks + 1);
    for (int64_t at = pairs.offsets[bounds[row]]; at < pairs.offsets[bounds[row + 1]]; at++) {
      next[block_of[pairs.ids[at]] + 1]++;
    }
    next[0] = pairs.offsets[bounds[row]];
    std::partial_sum(next.begin(), next.end(), next.begin());
    std::copy_n(next.begin(), blocks, grid.cells.begin() + row * blocks);
    for (int64_t user = bounds[row]; user < bounds[row + 1]; user++) {
      for (int64_t at = pairs.offsets[user]; at < pairs.offsets[user + 1]; at++) {
        const int64_t place = next[block_of[pairs.ids[at]]]++;
        grid.users[place] = static_cast<int32_t>(user);
        grid.items[place] = pairs.ids[at];
      }
    }
    for (int64_t cell = row * blocks, block = 0; block < blocks; block++, cell++) {
      const int64_t first = grid.cells[cell];  // next[block] is the end of the cell now
      shuffle(next[block] - first, Draws(seed, cell), [&](int64_t a, int64_t b) {
        std::swap(grid.users[first + a], grid.users[first + b]);
        std::swap(grid.items[first + a], grid.items[first + b]);
      });
    }
  });
}

}  // namespace sartor::cuda
