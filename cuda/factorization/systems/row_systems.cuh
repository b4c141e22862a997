// Solves the normal equations of the rows of a problem. Rows are sorted by length, then each is solved by one block,
// whose shape depends on the size of the system. The normal equations of long rows are computed in parts by several
// blocks before. A problem is a value with
//
//   weighted                        whether entries have weights and the system has parts that do not depend on entries
//   may_be_biased                   whether rows may have a bias
//   has_dual                        whether a row may be solved by its dual system
//   drawn                           whether solutions are random, and systems have parts that do not depend on entries
//   unknowns()                      of a primal system
//   equations(index)                of a row
//   row(index)                      the same with its entries
//   features(), stride(), aligned() Y; whether its rows' unknowns can be copied 16 bytes at a time
//   has_second()                    whether entries have a second number besides their value,
//   second(row, entry, column)      where it is, or null
//   term(value, second)             what an entry adds
//   start(i, j)                     if weighted or drawn: what the system has besides the entries, without
//                                   regularization
//   right_side(row, index, i)       and its right-hand side
//   noise(index, i)                 if drawn: what is added to unknown i between the two triangular solves
//   write(index, i, value)          takes unknown i of a row's solution
//   fill(index, i, value)           sets an unknown of a row that is not solved
//   write_bias(index, value)        sets a row's bias
#pragma once

#include <algorithm>

#include "core/gpu/backend.cuh"
#include "factorization/systems/als_row_solver.cuh"

namespace sartor::cuda {

// Sets the row's unknowns and bias, if any, to `value`.
template <class Problem> __device__ void fill(const AlsBlock<Problem>& block, float value) {
  for (int64_t c = threadIdx.x; c < block.row.factors; c += blockDim.x) block.problem.fill(block.index, c, value);
  if (Problem::may_be_biased && block.row.biased && threadIdx.x == 0) block.problem.write_bias(block.index, value);
}

// Finds the next part to compute. Called by one thread. Like find_row(), it is not inlined, so that the compiler does
// not keep parts of it in the registers of all threads.
template <class Problem> __device__ __noinline__ bool find_part(AlsBlock<Problem>& block, int sum_floats) {
  const AlsSchedule& schedule = block.workspace.schedule;
  const uint32_t number = atomicAdd(block.taken, 1), regions = als_regions(block.problem.unknowns());
  if (number / regions >= schedule.counts->slots) return false;
  const auto [position, part] = schedule.parts[number / regions];
  block.row = block.problem.row(schedule.first_row + schedule.order[position]);
  block.region = gram_region(static_cast<int>(number % regions));
  block.part_length = static_cast<int>(als_part_length(block.row.ratings));
  block.part = static_cast<int>(part);
  block.partial = block.workspace.slots + number * int64_t(sum_floats);
  return true;
}

template <class Problem> __device__ __noinline__ bool find_row(AlsBlock<Problem>& block) {
  const AlsSchedule& schedule = block.workspace.schedule;
  const uint32_t position = block.begin + atomicAdd(block.taken, 1);
  if (position >= block.end) return false;
  block.index = schedule.first_row + schedule.order[position];
  block.row = block.problem.row(block.index);
  block.part_length = static_cast<int>(als_part_length(block.row.ratings));
  block.region = gram_region(block.region_index = 0);
  block.slots = nullptr;
  const int slot = position < block.shared_end ? schedule.first_slot[position] : -1;
  if (slot >= 0) block.slots = block.workspace.slots + slot * block.workspace.slot_size;
  block.shift = 0;
  block.shifted = block.row.needs_shift();
  return true;
}

// Calls body() after each find() of the first thread, until that returns false.
template <class Problem, class Find, class Body>
__device__ void for_found(AlsBlock<Problem>& block, Find find, Body body) {
  for (;;) {
    __syncthreads();
    if (thread_index() == 0) block.found = find();
    __syncthreads();
    if (!block.found) return;
    body();
  }
}

#define SARTOR_ALS_KERNEL(panels) \
  __global__ void __launch_bounds__(GramShape<panels>::threads, GramShape<panels>::blocks_per_multiprocessor)

// Computes the partial sums of rows that several blocks share.
template <class Problem, int panels> SARTOR_ALS_KERNEL(panels) add_parts(Problem problem, AlsWorkspace workspace) {
  using Shape = GramShape<panels>;
  auto& shared = shared_memory<Problem, Shape, false>();
  auto& block = shared.block;
  if (thread_index() == 0) {
    block.problem = problem;
    block.workspace = workspace;
    block.taken = &workspace.schedule.counts->taken_parts;
  }
  for_found(
      block, [&] { return find_part(block, Shape::sum_floats); },
      [&] {
        GramSums<Shape> sums(shared.gram);
        const int begin = block.part * block.part_length, ratings = static_cast<int>(block.row.ratings);
        NormalEquations<Problem, Shape, false>(block.problem, block.row, block.region, shared.gram)
            .add(begin, begin + min(block.part_length, ratings - begin), sums);
        sums.save(block.partial);
      });
}

// Adds the partial sums of each shared row, part by part, to those of its first part.
template <class Problem> __global__ void __launch_bounds__(schedule_threads)
    add_slots(Problem problem, AlsWorkspace workspace) {
  const AlsSchedule& schedule = workspace.schedule;
  const uint32_t rows = schedule.counts->shared_rows;
  const int64_t size = workspace.slot_size / 4, i = blockIdx.x * schedule_threads + threadIdx.x;
  for (uint32_t position = blockIdx.y; position < rows && i < size; position += gridDim.y) {
    const int slot = schedule.first_slot[position];
    if (slot < 0) continue;
    auto* sums = reinterpret_cast<float4*>(workspace.slots + slot * workspace.slot_size) + i;
    const int64_t ratings = problem.equations(schedule.first_row + schedule.order[position]).ratings;
    const auto parts = static_cast<int>(als_parts(ratings));
    float4 total = *sums;
#pragma unroll 4
    for (int part = 1; part < parts; part++) {
      const float4 other = sums[part * size];
      total.x += other.x, total.y += other.y, total.z += other.z, total.w += other.w;
    }
    *sums = total;
  }
}

// Solves the rows in bins `lowest` to `end` - 1, which all have primal or all dual systems.
template <class Problem, int panels, bool dual> SARTOR_ALS_KERNEL(panels)
solve_rows(Problem problem, AlsWorkspace workspace, int lowest, int end) {
  auto& shared = shared_memory<Problem, GramShape<panels>, dual>();
  auto& block = shared.block;
  if (thread_index() == 0) {
    const AlsSchedule& schedule = workspace.schedule;
    block.problem = problem;
    block.workspace = workspace;
    block.begin = schedule.counts->positions[end];
    block.end = schedule.counts->positions[lowest];
    block.shared_end = schedule.counts->shared_rows;
    block.taken = schedule.counts->taken_rows + (dual ? 1 + panels / 2 : 0);
    block.partial = workspace.blocks + blockIdx.x * workspace.block_size;
  }
  for_found(
      block, [&] { return find_row(block); },
      [&] {
        if (!Problem::drawn && block.row.ratings == 0) {
          fill(block, 0);
        } else if (!AlsRowSolver<Problem, GramShape<panels>, dual>(shared).solve()) {
          fill(block, nanf(""));
        }
      });
}

// Divides memory into the arrays of a workspace. Returns its size in bytes.
inline size_t divide(const AlsPlan& plan, int64_t unknowns, char* memory, AlsWorkspace& workspace) {
  Arrays arrays(memory);
  workspace.slot_size = plan.slot_size;
  workspace.block_size = plan.block_size;
  place_schedule(arrays, plan.rows, plan.slots, workspace.schedule);
  arrays.place(workspace.slots, plan.slots * plan.slot_size);
  arrays.place(workspace.blocks, plan.blocks[als_shape_of(unknowns)] * plan.block_size);
  return arrays.bytes();
}

// What one call of solve_systems() needs to launch its kernels.
template <class Problem> struct SystemLaunches {
  const Problem& problem;
  AlsPlan plan;
  AlsWorkspace workspace;
  cudaStream_t stream;
  const char* operation;

  // The rows of one pass, the longest first.
  void solve_pass() const {
    order_rows(problem, workspace.schedule, stream, operation);
    switch (als_shape_of(problem.unknowns())) {
      case 0:
        return solve_shape<1>();
      case 1:
        return solve_shape<2>();
      default:
        return solve_shape<4>();
    }
  }

 private:
  // Solves the primal systems, whose shape is `panels`, and the dual ones, which have up to as many unknowns.
  template <int panels> void solve_shape() const {
    constexpr int small = als_bin(64) + 1, medium = als_bin(128) + 1;  // ends of bins
    launch<GramShape<panels>, false>(add_parts<Problem, panels>, plan.part_blocks);
    const dim3 pieces(static_cast<unsigned>((plan.slot_size / 4 + schedule_threads - 1) / schedule_threads), 16);
    add_slots<<<pieces, schedule_threads, 0, stream>>>(problem, workspace);
    check_launch(operation);
    launch_rows<panels, false>(als_bins, 2 * als_bins);
    if constexpr (Problem::has_dual) {
      if constexpr (panels == 4) launch_rows<4, true>(medium, als_bins);
      if constexpr (panels >= 2) launch_rows<2, true>(small, panels == 4 ? medium : als_bins);
      launch_rows<1, true>(0, panels == 1 ? als_bins : small);
    }
  }

  template <int panels, bool dual> void launch_rows(int lowest, int end) const {
    launch<GramShape<panels>, dual>(solve_rows<Problem, panels, dual>, plan.blocks[panels / 2], lowest, end);
  }

  template <class Shape, bool dual, class... Parameters, class... Arguments>
  void launch(void (*kernel)(Parameters...), int blocks, const Arguments&... arguments) const {
    constexpr int bytes = dual ? Shape::dual_shared_bytes : Shape::shared_bytes;
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), operation);
    kernel<<<blocks, Shape::threads, bytes, stream>>>(problem, workspace, arguments...);
    check_launch(operation);
  }
};

// Scratch memory of solve_systems() for `rows` rows of `unknowns` unknowns.
inline size_t systems_bytes(const GpuBackend& device, int64_t rows, int64_t unknowns) {
  AlsWorkspace workspace = {};
  return divide(als_plan(rows, unknowns, device.limits()), unknowns, nullptr, workspace);
}

// Solves rows first to first + rows - 1 of a problem. operation: for error messages.
template <class Problem> void solve_systems(const GpuBackend& device, const Problem& problem, int64_t first,
                                            int64_t rows, char* memory, const char* operation) {
  const AlsPlan plan = als_plan(rows, problem.unknowns(), device.limits());
  SystemLaunches<Problem> launches = {problem, plan, {}, device.stream(), operation};
  divide(plan, problem.unknowns(), memory, launches.workspace);
  AlsSchedule& schedule = launches.workspace.schedule;
  for (schedule.first_row = first; schedule.first_row < first + rows; schedule.first_row += plan.rows) {
    schedule.rows = static_cast<uint32_t>(std::min(plan.rows, first + rows - schedule.first_row));
    launches.solve_pass();
  }
}

}  // namespace sartor::cuda
