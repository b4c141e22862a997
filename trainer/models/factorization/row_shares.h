// Rows of a matrix of ratings that are divided among the ranks of a run.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/device_buffer.h"
#include "runtime/collective.h"

namespace sartor {

// Divides the rows into contiguous shares of similar cost for als_update with f factors: rank r gets rows bounds[r] to
// bounds[r + 1] - 1. offsets (rows + 1): as in cuda::Csr. A row with n ratings costs, in multiplications,
//
//   m^2 M / 2 + m^3 / 6 + M,   m = min(n, f), M = max(n, f)
//
// for its normal equations or their dual, the Cholesky factorization, and reading and writing.
std::vector<int64_t> row_shares(std::span<const int64_t> offsets, int64_t factors, int ranks);

// All-gather of rows that each rank has computed for its share, in place. values (bounds.back(), width) is in the
// context's memory. On the CPU, rows travel without a copy. On a GPU they pass through host memory, at most 16 MiB per
// rank at a time: a rank copies its own rows to the host and those of the others to the GPU.
void gather_rows(Collective& ranks, const cuda::Context& context, std::span<const int64_t> bounds, int64_t width,
                 cuda::DeviceBuffer<float>& values);

}  // namespace sartor
