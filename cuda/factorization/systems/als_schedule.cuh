// Order in which the rows of a problem are solved on a GPU, computed there: rows are sorted by length, the longest
// first, and the longest are divided into parts that several blocks compute. The order within a bin varies from run to
// run; solutions do not depend on it.
#pragma once

#include "core/gpu/check.cuh"
#include "factorization/als_equations.h"
#include "factorization/systems/als_plan.h"
#include "factorization/systems/arrays.h"
#include "factorization/systems/cholesky.cuh"

namespace sartor::cuda {

struct AlsSchedule {
  static constexpr int bins = 2 * als_bins;  // of dual systems, then of primal ones, which are larger

  struct Counts {  // initially 0
    uint32_t rows[bins];
    unsigned long long parts[bins];
    uint32_t placed[bins];
    uint32_t positions[bins + 1];         // of the first row of a bin, set by place_rows()
    uint32_t shared_rows;                 // rows before this position may be shared, set by place_rows()
    uint32_t slots;                       // assigned to parts
    uint32_t taken_parts, taken_rows[4];  // by blocks of each kernel
  };
  struct Part {
    uint32_t position, part;  // of a row in `order`
  };

  Counts* counts;
  uint32_t* order;      // rows of this pass, relative to the first, by position
  int32_t* first_slot;  // of a row that may be shared, by position; -1 if a single block solves it
  Part* parts;          // by slot
  int64_t first_row;
  uint32_t rows, slots;
};

__device__ inline int bin_of(const AlsEquations& row) { return als_bin(row.ratings) + (row.dual ? 0 : als_bins); }

constexpr int schedule_threads = 256;

template <class Problem> __global__ void count_rows(Problem problem, AlsSchedule schedule) {
  __shared__ uint32_t rows[AlsSchedule::bins];
  const uint32_t t = threadIdx.x, index = blockIdx.x * schedule_threads + t;
  if (t < AlsSchedule::bins) rows[t] = 0;
  __syncthreads();
  if (index < schedule.rows) {
    const AlsEquations row = problem.equations(schedule.first_row + index);
    atomicAdd(rows + bin_of(row), 1);
    if (row.ratings > als_least_part) atomicAdd(schedule.counts->parts + bin_of(row), als_parts(row.ratings));
  }
  __syncthreads();
  if (t < AlsSchedule::bins && rows[t]) atomicAdd(schedule.counts->rows + t, rows[t]);
}

// Positions of the bins in the order of the rows.
struct BinPositions {
  uint32_t rows[AlsSchedule::bins], begins[AlsSchedule::bins + 1];  // the longest rows come first
  unsigned long long parts[AlsSchedule::bins];
  int first_shared;  // rows in this bin and above are shared, the longest first, as long as there are slots

  // Called by all threads of a block, which sees the result after a barrier.
  __device__ void load(const AlsSchedule& schedule) {
    const int t = threadIdx.x;
    if (t < AlsSchedule::bins) rows[t] = schedule.counts->rows[t], parts[t] = schedule.counts->parts[t];
    __syncthreads();
    if (t > 0) return;
    first_shared = AlsSchedule::bins;
    unsigned long long used = 0;
    begins[AlsSchedule::bins] = 0;
    for (int bin = AlsSchedule::bins - 1; bin >= 0; bin--) {
      begins[bin] = begins[bin + 1] + rows[bin];
      if (bin > als_bins + als_bin(als_least_part) && used < schedule.slots) first_shared = bin;
      used += parts[bin];
    }
  }
};

// The first of `parts` slots, or -1 if there are not so many.
__device__ inline int32_t take_slots(const AlsSchedule& schedule, uint32_t parts) {
  uint32_t* slots = &schedule.counts->slots;
  uint32_t expected, found = *slots;
  do {
    expected = found;
    if (expected + parts > schedule.slots) return -1;
    found = atomicCAS(slots, expected, expected + parts);
  } while (found != expected);
  return static_cast<int32_t>(expected);
}

// The rows of a block are placed side by side within their bin.
template <class Problem> __global__ void place_rows(Problem problem, AlsSchedule schedule) {
  __shared__ BinPositions bins;
  __shared__ uint32_t rows[AlsSchedule::bins], begins[AlsSchedule::bins];
  const uint32_t t = threadIdx.x, index = blockIdx.x * schedule_threads + t;
  if (t < AlsSchedule::bins) rows[t] = 0;
  bins.load(schedule);
  __syncthreads();
  const bool valid = index < schedule.rows;
  AlsEquations row = {};
  uint32_t rank = 0;
  if (valid) {
    row = problem.equations(schedule.first_row + index);
    rank = atomicAdd(rows + bin_of(row), 1);
  }
  __syncthreads();
  if (t < AlsSchedule::bins && rows[t])
    begins[t] = bins.begins[t + 1] + atomicAdd(schedule.counts->placed + t, rows[t]);
  if (blockIdx.x == 0 && t <= AlsSchedule::bins) schedule.counts->positions[t] = bins.begins[t];
  if (index == 0) schedule.counts->shared_rows = bins.begins[bins.first_shared];
  __syncthreads();
  if (!valid) return;
  const int bin = bin_of(row);
  const uint32_t position = begins[bin] + rank;
  schedule.order[position] = index;
  if (bin < bins.first_shared) return;
  const auto parts = static_cast<uint32_t>(als_parts(row.ratings));
  const int32_t slot = take_slots(schedule, parts);
  schedule.first_slot[position] = slot;
  for (uint32_t part = 0; slot >= 0 && part < parts; part++) schedule.parts[slot + part] = {position, part};
}

// Places the arrays of a schedule for passes of `rows` rows.
inline void place_schedule(Arrays& arrays, int64_t rows, int64_t slots, AlsSchedule& schedule) {
  schedule.slots = static_cast<uint32_t>(slots);
  arrays.place(schedule.counts, 1);
  arrays.place(schedule.order, rows);
  arrays.place(schedule.first_slot, rows);
  arrays.place(schedule.parts, slots);
}

// Orders the rows of a pass: schedule.first_row and as many as schedule.rows.
template <class Problem>
void order_rows(const Problem& problem, const AlsSchedule& schedule, cudaStream_t stream, const char* operation) {
  check(cudaMemsetAsync(schedule.counts, 0, sizeof *schedule.counts, stream), operation);
  const uint32_t blocks = (schedule.rows + schedule_threads - 1) / schedule_threads;
  count_rows<<<blocks, schedule_threads, 0, stream>>>(problem, schedule);
  check_launch(operation);
  place_rows<<<blocks, schedule_threads, 0, stream>>>(problem, schedule);
  check_launch(operation);
}

}  // namespace sartor::cuda
