#include "models/factorization/shares/grid_shares.h"

#include <algorithm>
#include <numeric>

namespace sartor {
namespace {

// Calls use(numbers of a row, their count) for the arrays of each row.
template <class Use> void for_rows(const BlockedRows& rows, int64_t block, Use use) {
  for (const int32_t id : rows.blocks->of(block)) {
    for (const auto& [data, width] : rows.arrays) use(data + id * width, width);
  }
}

int64_t size_of(const BlockedRows& rows, int64_t block) { return std::ssize(rows.blocks->of(block)) * rows.width(); }

// Copies the rows of a block one after the other; return the end.
float* pack(const BlockedRows& rows, int64_t block, float* to) {
  for_rows(rows, block, [&](const float* from, int64_t width) { to = std::copy_n(from, width, to); });
  return to;
}
const float* unpack(const float* from, const BlockedRows& rows, int64_t block) {
  for_rows(rows, block, [&](float* to, int64_t width) {
    std::copy_n(from, width, to);
    from += width;
  });
  return from;
}

}  // namespace

Blocks blocks_of(std::span<const int32_t> block_of_rows, int64_t blocks) {
  Blocks made = {.bounds = std::vector<int64_t>(blocks + 1), .ids = std::vector<int32_t>(block_of_rows.size())};
  for (const int32_t block : block_of_rows) made.bounds[block + 1]++;
  std::partial_sum(made.bounds.begin(), made.bounds.end(), made.bounds.begin());
  auto next = made.bounds;
  for (int32_t row = 0; row < std::ssize(block_of_rows); row++) made.ids[next[block_of_rows[row]]++] = row;
  return made;
}

int64_t BlockedRows::width() const {
  int64_t sum = 0;
  for (const Array& array : arrays) sum += array.width;
  return sum;
}

void GridShares::train_rounds(int64_t first, const BlockedRows& users, const BlockedRows& items,
                              const std::function<void(int64_t round)>& train) {
  const int64_t last = first + blocks_ - 1;
  for (int64_t round = first; round <= last; round++) {
    train(round);
    if (round < last) pass_on(round, items);
  }
  gather(last, items);
  gather(0, users);
}

void GridShares::pass_on(int64_t round, const BlockedRows& items) {
  const auto [begin, end] = own();
  const int64_t left = (begin + round) % blocks_, coming = (end + round) % blocks_;
  out_.resize(size_of(items, left));
  in_.resize(size_of(items, coming));
  pack(items, left, out_.data());
  ranks_.pass(out_, in_);
  unpack(in_.data(), items, coming);
}

// Each rank has the rows that its users met in the round; for the users themselves, the round is 0.
void GridShares::gather(int64_t round, const BlockedRows& rows) {
  std::vector<Part> parts;
  int64_t size = 0;
  for (int rank = 0; rank < ranks_.size(); rank++) {
    parts.push_back({size, size});
    for (int64_t block = of(rank).begin; block < of(rank).end; block++)
      size += size_of(rows, (block + round) % blocks_);
    parts.back().end = size;
  }
  out_.resize(size);
  float* to = out_.data() + parts[ranks_.rank()].begin;
  for (int64_t block = own().begin; block < own().end; block++) to = pack(rows, (block + round) % blocks_, to);
  ranks_.gather(out_, parts);
  const float* from = out_.data();
  for (int64_t block = 0; block < blocks_; block++) from = unpack(from, rows, (block + round) % blocks_);
}

}  // namespace sartor
