// Training on a grid of blocks of users by blocks of items, shared by the ranks of a run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "runtime/collective.h"

namespace sartor {

// Rows in blocks: block b has ids[bounds[b]] to ids[bounds[b + 1] - 1].
struct Blocks {
  std::vector<int64_t> bounds = {0};
  std::vector<int32_t> ids;

  std::span<const int32_t> of(int64_t block) const {
    return std::span(ids).subspan(bounds[block], bounds[block + 1] - bounds[block]);
  }
};

// From the block of each row.
Blocks blocks_of(std::span<const int32_t> block_of_rows, int64_t blocks);

// The numbers of users or of items that training changes, on the host.
struct BlockedRows {
  struct Array {
    float* data;
    int64_t width;  // numbers of a row
  };
  const Blocks* blocks;
  std::vector<Array> arrays;

  int64_t width() const;
};

// In round s of an epoch, the users of block b meet the items of block (b + s) % blocks. A rank trains its own blocks
// of users, which are contiguous. After each round, the items that the first of them met move on to the rank before,
// whose last users meet them next, so that a rank always has the current numbers of the items that it trains on. At the
// end every rank gets all numbers, so that each sends those of all items and of its own users about once or twice per
// epoch.
class GridShares {
 public:
  // None if each rank is to train the whole grid: if there are fewer blocks than ranks, or on a GPU, which trains a
  // round in less time than the exchange takes.
  static std::optional<GridShares> make(Collective& ranks, int64_t blocks, bool gpu) {
    if (ranks.size() == 1 || blocks < ranks.size() || gpu) return {};
    return GridShares(ranks, blocks);
  }

  Part own() const { return of(ranks_.rank()); }  // blocks of users

  // Trains rounds `first` to first + blocks - 1 by train(round), which trains own() users.
  void train_rounds(int64_t first, const BlockedRows& users, const BlockedRows& items,
                    const std::function<void(int64_t round)>& train);

 private:
  GridShares(Collective& ranks, int64_t blocks) : ranks_(ranks), blocks_(blocks) {}
  Part of(int64_t rank) const { return {blocks_ * rank / ranks_.size(), blocks_ * (rank + 1) / ranks_.size()}; }
  void pass_on(int64_t round, const BlockedRows& items);
  void gather(int64_t round, const BlockedRows& rows);

  Collective& ranks_;
  int64_t blocks_;
  std::vector<float> out_, in_;
};

}  // namespace sartor
