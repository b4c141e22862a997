// Order in which the rows of als_update are solved on a GPU, computed there: rows are sorted by length, the longest
// first, and the longest are divided into parts that several blocks compute. The order within a bin varies from run to
// run; solutions do not depend on it.
#pragma once

#include "core/check.cuh"
#include "factorization/als_equations.h"
#include "factorization/als_plan.h"
#include "factorization/cholesky.cuh"

namespace sartor::cuda {

struct AlsSchedule {
  static constexpr int bins = 2 * als_bins;  // of dual systems, then of primal ones, which are larger

  struct Counts {  // initially 0
    uint32_t rows[bins];
    unsigned long long parts[bins];
    uint32_t placed[bins];
    uint32_t slots;                       // assigned to parts
    uint32_t taken_parts, taken_rows[4];  // by blocks of each kernel
  };
  struct Part {
    uint32_t position, part;  // of a row in `order`
  };

  Counts* counts;
  uint32_t* order;       // rows of this pass, relative to the first, by position
  uint32_t* first_slot;  // of a shared row, by position
  Part* parts;           // by slot
  int64_t first_row;
  uint32_t rows, slots;

  // Number of rows in `bin` and above.
  __device__ uint32_t rows_from(int bin) const {
    uint32_t total = 0;
    for (; bin < bins; bin++) total += counts->rows[bin];
    return total;
  }
  // Rows in this bin and above are shared: the longest whose parts fit in the slots.
  __device__ int first_shared_bin() const {
    unsigned long long used = 0;
    int bin = bins;
    while (bin - 1 > als_bins + als_bin(als_least_part) && (used += counts->parts[bin - 1]) <= slots) bin--;
    return bin;
  }
  __device__ uint32_t shared_rows() const { return rows_from(first_shared_bin()); }
};

__device__ inline AlsEquations equations_of(const AlsTask& task, int64_t row) {
  return als_equations(task, task.ratings.offsets[row + 1] - task.ratings.offsets[row], Triangle::side);
}
__device__ inline int bin_of(const AlsEquations& row) { return als_bin(row.ratings) + (row.dual ? 0 : als_bins); }

constexpr int schedule_threads = 256;

static __global__ void count_rows(AlsTask task, AlsSchedule schedule) {
  __shared__ uint32_t rows[AlsSchedule::bins];
  const uint32_t t = threadIdx.x, index = blockIdx.x * schedule_threads + t;
  if (t < AlsSchedule::bins) rows[t] = 0;
  __syncthreads();
  if (index < schedule.rows) {
    const AlsEquations row = equations_of(task, schedule.first_row + index);
    atomicAdd(rows + bin_of(row), 1);
    if (row.ratings > als_least_part) atomicAdd(schedule.counts->parts + bin_of(row), als_parts(row.ratings));
  }
  __syncthreads();
  if (t < AlsSchedule::bins && rows[t]) atomicAdd(schedule.counts->rows + t, rows[t]);
}

// The rows of a block are placed side by side within their bin.
static __global__ void place_rows(AlsTask task, AlsSchedule schedule) {
  __shared__ uint32_t rows[AlsSchedule::bins], begins[AlsSchedule::bins];
  __shared__ int first_shared;
  const uint32_t t = threadIdx.x, index = blockIdx.x * schedule_threads + t;
  if (t < AlsSchedule::bins) rows[t] = 0;
  if (t == 0) first_shared = schedule.first_shared_bin();
  __syncthreads();
  const bool valid = index < schedule.rows;
  AlsEquations row = {};
  uint32_t rank = 0;
  if (valid) {
    row = equations_of(task, schedule.first_row + index);
    rank = atomicAdd(rows + bin_of(row), 1);
  }
  __syncthreads();
  if (t < AlsSchedule::bins && rows[t]) {
    begins[t] = schedule.rows_from(t + 1) + atomicAdd(schedule.counts->placed + t, rows[t]);
  }
  __syncthreads();
  if (!valid) return;
  const int bin = bin_of(row);
  const uint32_t position = begins[bin] + rank;
  schedule.order[position] = index;
  if (bin < first_shared) return;
  const auto parts = static_cast<uint32_t>(als_parts(row.ratings));
  const uint32_t slot = atomicAdd(&schedule.counts->slots, parts);
  schedule.first_slot[position] = slot;
  for (uint32_t part = 0; part < parts; part++) schedule.parts[slot + part] = {position, part};
}

}  // namespace sartor::cuda
