// Rows of a matrix of ratings that are divided among the ranks of a run, and their factors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/device_buffer.h"
#include "core/views.h"
#include "models/factorization/rating_blocks.h"
#include "runtime/collective.h"
#include "storage/prepared.h"

namespace sartor {

// Divides the rows into contiguous shares of similar cost for als_update with f factors: rank r gets rows bounds[r] to
// bounds[r + 1] - 1. offsets (rows + 1): as in cuda::Csr. A row with n ratings costs, in multiplications,
//
//   m^2 M / 2 + m^3 / 6 + M,   m = min(n, f), M = max(n, f)
//
// for its normal equations or their dual, the Cholesky factorization, and reading and writing.
std::vector<int64_t> row_shares(std::span<const int64_t> offsets, int64_t factors, int ranks);

// That cost as a function of n.
std::function<double(int64_t)> als_cost(int64_t factors);

// The same for any cost of a row with n ratings.
std::vector<int64_t> row_shares(std::span<const int64_t> offsets, const std::function<double(int64_t)>& cost,
                                int ranks);

// The same for rows with these costs.
std::vector<int64_t> row_shares(std::span<const double> costs, int ranks);

// The shares of all ranks, each divided into pieces of similar cost: a rank solves one piece while the rows of the
// piece before travel to the other ranks.
class SharePieces {
 public:
  // cost: of a row with n ratings.
  SharePieces(std::span<const int64_t> offsets, const std::function<double(int64_t)>& cost, const Collective& ranks);

  int64_t rows() const { return bounds_.back(); }
  int64_t count() const { return pieces_; }             // of each share
  Part share() const { return of(rank_, 0, pieces_); }  // rows of this rank
  std::vector<int64_t> bounds() const;                  // of the pieces of this rank, from 0
  std::vector<Part> of_ranks(int64_t piece) const;      // rows of this piece on each rank

 private:
  Part of(int64_t rank, int64_t piece, int64_t count) const {
    return {bounds_[rank * pieces_ + piece], bounds_[rank * pieces_ + piece + count]};
  }

  int64_t rank_, ranks_, pieces_;
  std::vector<int64_t> bounds_;
};

// One side of a factorization in training: the users, or the items. The factors are in the context's memory.
struct FactorSide {
  int64_t width;                      // factors of a row
  SharePieces pieces;                 // of the ranks' shares
  RatingBlocks ratings;               // of this rank's share, to be written
  cuda::DeviceBuffer<float> factors;  // (rows, width), initially 0

  FactorSide(cuda::Context& context, SharePieces pieces, RatingBlocks ratings, int64_t width);

  int64_t rows() const { return pieces.rows(); }
  int64_t first() const { return pieces.share().begin; }  // first row of the share
  cuda::Rows<const float> all() const { return {factors.data(), rows(), width}; }
  // Factors of `count` rows from row `begin` of the share on.
  cuda::Rows<float> own(int64_t begin, int64_t count) const {
    return {factors.data() + (first() + begin) * width, count, width};
  }
};

// An array of rows in the context's memory, of which each rank computes a share.
struct SharedRows {
  cuda::DeviceBuffer<float>* values;
  int64_t width;
};

// Solves the pieces of a share by solve(first, ratings), as in RatingBlocks::each(), and gathers the rows of all ranks
// in each of the arrays meanwhile. Rows of a piece are final when all its blocks have been solved.
void solve_share(Collective& ranks, cuda::Context& context, const SharePieces& pieces, RatingBlocks& ratings,
                 std::vector<SharedRows> arrays,
                 const std::function<void(int64_t first, const cuda::Csr<const float>& ratings)>& solve);

// The offsets of these rows alone, from 0.
std::vector<int64_t> offsets_of_rows(std::span<const int64_t> offsets, Part rows);

// Fills factors with normal random numbers, which depend only on their places and the seed.
void fill_normal(cuda::DeviceBuffer<float>& factors, float standard_deviation, int64_t seed);

// All-gather of rows that each rank has computed for its share, in place. values (bounds.back(), width) is in the
// context's memory. On the CPU, rows travel without a copy. On a GPU they pass through page-locked host memory, at most
// 16 MiB per rank at a time: a rank copies its own rows to the host and those of the others to the GPU.
void gather_rows(Collective& ranks, cuda::Context& context, std::span<const int64_t> bounds, int64_t width,
                 cuda::DeviceBuffer<float>& values);

// Reads rows begin to end - 1 in blocks of bounded size. Calls use(place, columns, values), where place counts the
// entries from row `begin`.
template <class Use> void read_rows(const datasets::StoredRatings& ratings, int64_t begin, int64_t end, Use use) {
  constexpr int64_t most = 1 << 20;  // entries of a block
  const std::vector<int64_t>& offsets = ratings.offsets();
  std::vector<int32_t> columns;
  std::vector<float> values;
  for (int64_t row = begin; row < end;) {
    const int64_t next = std::min(ratings.rows_within(row, most), end);
    columns.resize(offsets[next] - offsets[row]);
    values.resize(columns.size());
    ratings.read(row, next, columns, values);
    use(offsets[row] - offsets[begin], columns, values);
    row = next;
  }
}

}  // namespace sartor
