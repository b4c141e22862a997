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
  struct Counts {  // initially 0
    uint32_t rows[als_bins];
    unsigned long long parts[als_bins];
    uint32_t placed[als_bins];
    uint32_t slots;                       // assigned to parts
    uint32_t taken_parts, taken_rows[3];  // by blocks, for each shape
  };
  struct Part {
    uint32_t position, part;  // of a row in `order`
  };

  Counts* counts;
  uint32_t* order;      // rows of this pass, relative to the first, by position
  int32_t* first_slot;  // of a shared row, by position; -1 for a row that a single block solves
  Part* parts;          // by slot
  int64_t first_row;
  uint32_t rows, slots;

  // Number of rows in `bin` and above.
  __device__ uint32_t rows_from(int bin) const {
    uint32_t total = 0;
    for (; bin < als_bins; bin++) total += counts->rows[bin];
    return total;
  }
  // Rows in this bin and above are shared: the longest whose parts fit in the slots.
  __device__ int first_shared_bin() const {
    unsigned long long used = 0;
    int bin = als_bins;
    while (bin - 1 > als_bin(als_least_part) && (used += counts->parts[bin - 1]) <= slots) bin--;
    return bin;
  }
};

__device__ inline int64_t row_ratings(const AlsTask& task, int64_t row) {
  return task.ratings.offsets[row + 1] - task.ratings.offsets[row];
}
__device__ inline AlsEquations equations_of(const AlsTask& task, int64_t ratings) {
  return als_equations(task, ratings, Triangle::side);
}
__device__ inline int64_t parts_of(const AlsEquations& row) { return row.dual ? 1 : als_parts(row.ratings); }

constexpr int schedule_threads = 256;

static __global__ void count_rows(AlsTask task, AlsSchedule schedule) {
  __shared__ uint32_t rows[als_bins];
  const uint32_t t = threadIdx.x, index = blockIdx.x * schedule_threads + t;
  if (t < als_bins) rows[t] = 0;
  __syncthreads();
  if (index < schedule.rows) {
    const int64_t ratings = row_ratings(task, schedule.first_row + index);
    const int bin = als_bin(ratings);
    atomicAdd(rows + bin, 1);
    if (ratings > als_least_part) atomicAdd(schedule.counts->parts + bin, parts_of(equations_of(task, ratings)));
  }
  __syncthreads();
  if (t < als_bins && rows[t]) atomicAdd(schedule.counts->rows + t, rows[t]);
}

static __global__ void place_rows(AlsTask task, AlsSchedule schedule) {
  __shared__ uint32_t rows[als_bins], begins[als_bins];
  __shared__ int first_shared;
  const uint32_t t = threadIdx.x, index = blockIdx.x * schedule_threads + t;
  if (t < als_bins) rows[t] = 0;
  if (t == 0) first_shared = schedule.first_shared_bin();
  __syncthreads();
  int64_t ratings = 0;
  int bin = 0;
  uint32_t rank = 0;
  if (index < schedule.rows) {
    ratings = row_ratings(task, schedule.first_row + index);
    bin = als_bin(ratings);
    rank = atomicAdd(rows + bin, 1);
  }
  __syncthreads();
  if (t < als_bins && rows[t]) begins[t] = schedule.rows_from(t + 1) + atomicAdd(schedule.counts->placed + t, rows[t]);
  __syncthreads();
  if (index >= schedule.rows) return;
  const uint32_t position = begins[bin] + rank;
  schedule.order[position] = index;
  if (bin < first_shared) return;
  const auto parts = static_cast<uint32_t>(parts_of(equations_of(task, ratings)));
  schedule.first_slot[position] = -1;
  if (parts == 1) return;
  const uint32_t slot = atomicAdd(&schedule.counts->slots, parts);
  schedule.first_slot[position] = static_cast<int32_t>(slot);
  for (uint32_t part = 0; part < parts; part++) schedule.parts[slot + part] = {position, part};
}

}  // namespace sartor::cuda
