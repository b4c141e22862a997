// Rows of a matrix of ratings that are divided among the ranks of a run, and their factors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/device_buffer.h"
#include "core/views.h"
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

// The same for any cost of a row with n ratings.
std::vector<int64_t> row_shares(std::span<const int64_t> offsets, const std::function<double(int64_t)>& cost,
                                int ranks);

// One side of a factorization in training: the users, or the items. All arrays are in the context's memory.
struct FactorSide {
  int64_t rows, width;                  // of the factors of all rows
  std::vector<int64_t> bounds;          // of the ranks' shares
  int64_t first;                        // first row of this rank's share
  cuda::DeviceBuffer<int64_t> offsets;  // ratings of the share, as in cuda::Csr
  cuda::DeviceBuffer<int32_t> columns;  // to be written
  cuda::DeviceBuffer<float> values;     // to be written
  cuda::DeviceBuffer<float> factors;    // (rows, width), initially 0

  // offsets (share + 1): of the share, the first of them 0.
  FactorSide(cuda::Context& context, std::vector<int64_t> bounds, int rank, std::span<const int64_t> offsets,
             int64_t width);

  int64_t share() const { return offsets.size() - 1; }
  cuda::Csr<const float> ratings() const { return {share(), offsets.data(), columns.data(), values.data()}; }
  cuda::Rows<const float> all() const { return {factors.data(), rows, width}; }
  cuda::Rows<float> own() const { return {factors.data() + first * width, share(), width}; }
};

// Fills factors with normal random numbers, which depend only on their places and the seed.
void fill_normal(cuda::DeviceBuffer<float>& factors, float standard_deviation, int64_t seed);

// All-gather of rows that each rank has computed for its share, in place. values (bounds.back(), width) is in the
// context's memory. On the CPU, rows travel without a copy. On a GPU they pass through host memory, at most 16 MiB per
// rank at a time: a rank copies its own rows to the host and those of the others to the GPU.
void gather_rows(Collective& ranks, const cuda::Context& context, std::span<const int64_t> bounds, int64_t width,
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
