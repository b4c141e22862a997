// Rows are sorted by length, then each is solved by one block, whose shape depends on the size of the system. The
// normal equations of long rows are computed in parts by several blocks before.
#include "factorization/als.cuh"

#include <algorithm>

#include "core/gpu/backend.cuh"
#include "factorization/als_row_solver.cuh"

namespace sartor::cuda {
namespace {

// Sets the row's factors and bias, if any, to `value`.
__device__ void fill(const AlsBlock& block, float value) {
  const int64_t f = block.row.factors;
  for (int64_t c = threadIdx.x; c < f; c += blockDim.x) block.task.solved.data[block.index * f + c] = value;
  if (block.row.biased && threadIdx.x == 0) block.task.solved_bias[block.index] = value;
}

__device__ AlsRow row_of(const AlsTask& task, int64_t index) {
  const int64_t begin = task.ratings.offsets[index];
  return {equations_of(task, index), task.ratings.columns + begin, task.ratings.values + begin};
}

// Finds the next part to compute. Called by one thread. Like find_row(), it is not inlined, so that the compiler does
// not keep parts of it in the registers of all threads.
__device__ __noinline__ bool find_part(AlsBlock& block, int sum_floats) {
  const AlsSchedule& schedule = block.workspace.schedule;
  const uint32_t number = atomicAdd(block.taken, 1), regions = als_regions(block.task.fixed.columns);
  if (number / regions >= schedule.counts->slots) return false;
  const auto [position, part] = schedule.parts[number / regions];
  block.row = row_of(block.task, schedule.first_row + schedule.order[position]);
  block.region = gram_region(static_cast<int>(number % regions));
  block.part_length = static_cast<int>(als_part_length(block.row.ratings));
  block.part = static_cast<int>(part);
  block.partial = block.workspace.slots + number * int64_t(sum_floats);
  return true;
}

__device__ __noinline__ bool find_row(AlsBlock& block) {
  const AlsSchedule& schedule = block.workspace.schedule;
  const uint32_t position = block.begin + atomicAdd(block.taken, 1);
  if (position >= block.end) return false;
  block.index = schedule.first_row + schedule.order[position];
  block.row = row_of(block.task, block.index);
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
template <class Find, class Body> __device__ void for_found(AlsBlock& block, Find find, Body body) {
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
template <int panels> SARTOR_ALS_KERNEL(panels) add_parts(AlsTask task, AlsWorkspace workspace) {
  using Shape = GramShape<panels>;
  auto& shared = shared_memory<Shape, false>();
  AlsBlock& block = shared.block;
  if (thread_index() == 0) {
    block.task = task;
    block.workspace = workspace;
    block.taken = &workspace.schedule.counts->taken_parts;
  }
  for_found(
      block, [&] { return find_part(block, Shape::sum_floats); },
      [&] {
        GramSums<Shape> sums(shared.gram);
        const int begin = block.part * block.part_length, ratings = static_cast<int>(block.row.ratings);
        NormalEquations<Shape, false>(block.task, block.row, block.region, shared.gram)
            .add(begin, begin + min(block.part_length, ratings - begin), sums);
        sums.save(block.partial);
      });
}

// Adds the partial sums of each shared row, part by part, to those of its first part.
__global__ void __launch_bounds__(schedule_threads) add_slots(AlsTask task, AlsWorkspace workspace) {
  const AlsSchedule& schedule = workspace.schedule;
  const uint32_t rows = schedule.counts->shared_rows;
  const int64_t size = workspace.slot_size / 4, i = blockIdx.x * schedule_threads + threadIdx.x;
  for (uint32_t position = blockIdx.y; position < rows && i < size; position += gridDim.y) {
    const int slot = schedule.first_slot[position];
    if (slot < 0) continue;
    auto* sums = reinterpret_cast<float4*>(workspace.slots + slot * workspace.slot_size) + i;
    const int64_t ratings = equations_of(task, schedule.first_row + schedule.order[position]).ratings;
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
template <int panels, bool dual> SARTOR_ALS_KERNEL(panels)
solve_rows(AlsTask task, AlsWorkspace workspace, int lowest, int end) {
  auto& shared = shared_memory<GramShape<panels>, dual>();
  AlsBlock& block = shared.block;
  if (thread_index() == 0) {
    const AlsSchedule& schedule = workspace.schedule;
    block.task = task;
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
        if (block.row.ratings == 0) {
          fill(block, 0);
        } else if (!AlsRowSolver<GramShape<panels>, dual>(shared).solve()) {
          fill(block, nanf(""));
        }
      });
}

// Divides memory into the arrays of a workspace. Returns its size in bytes.
size_t divide(const AlsPlan& plan, int64_t factors, char* memory, AlsWorkspace& workspace) {
  size_t bytes = 0;
  const auto place = [&]<class T>(T*& array, int64_t count) {
    array = memory ? reinterpret_cast<T*>(memory + bytes) : nullptr;
    bytes += (count * sizeof(T) + 255) / 256 * 256;
  };
  workspace.slot_size = plan.slot_size;
  workspace.block_size = plan.block_size;
  workspace.schedule.slots = static_cast<uint32_t>(plan.slots);
  place(workspace.schedule.counts, 1);
  place(workspace.schedule.order, plan.rows);
  place(workspace.schedule.first_slot, plan.rows);
  place(workspace.schedule.parts, plan.slots);
  place(workspace.slots, plan.slots * plan.slot_size);
  place(workspace.blocks, plan.blocks[als_shape_of(factors)] * plan.block_size);
  return bytes;
}

template <class Shape, bool dual, class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int blocks, cudaStream_t stream, const Arguments&... arguments) {
  constexpr int bytes = dual ? Shape::dual_shared_bytes : Shape::shared_bytes;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "als_update");
  kernel<<<blocks, Shape::threads, bytes, stream>>>(arguments...);
  check_launch("als_update");
}

template <int panels, bool dual> void launch_rows(const AlsTask& task, const AlsWorkspace& workspace,
                                                  const AlsPlan& plan, cudaStream_t stream, int lowest, int end) {
  launch<GramShape<panels>, dual>(solve_rows<panels, dual>, plan.blocks[panels / 2], stream, task, workspace, lowest,
                                  end);
}

// Solves the primal systems, whose shape is `panels`, and the dual ones, which have up to as many unknowns.
template <int panels>
void solve_systems(const AlsTask& task, const AlsWorkspace& workspace, const AlsPlan& plan, cudaStream_t stream) {
  constexpr int small = als_bin(64) + 1, medium = als_bin(128) + 1;  // ends of bins
  launch<GramShape<panels>, false>(add_parts<panels>, plan.part_blocks, stream, task, workspace);
  const dim3 pieces(static_cast<unsigned>((plan.slot_size / 4 + schedule_threads - 1) / schedule_threads), 16);
  add_slots<<<pieces, schedule_threads, 0, stream>>>(task, workspace);
  check_launch("als_update");
  launch_rows<panels, false>(task, workspace, plan, stream, als_bins, 2 * als_bins);
  if constexpr (panels == 4) launch_rows<4, true>(task, workspace, plan, stream, medium, als_bins);
  if constexpr (panels >= 2) {
    launch_rows<2, true>(task, workspace, plan, stream, small, panels == 4 ? medium : als_bins);
  }
  launch_rows<1, true>(task, workspace, plan, stream, 0, panels == 1 ? als_bins : small);
}

// Solves the rows of one pass, the longest first.
void solve_pass(const AlsTask& task, const AlsWorkspace& workspace, const AlsPlan& plan, cudaStream_t stream) {
  const AlsSchedule& schedule = workspace.schedule;
  check(cudaMemsetAsync(schedule.counts, 0, sizeof *schedule.counts, stream), "als_update");
  const uint32_t blocks = (schedule.rows + schedule_threads - 1) / schedule_threads;
  count_rows<<<blocks, schedule_threads, 0, stream>>>(task, schedule);
  check_launch("als_update");
  place_rows<<<blocks, schedule_threads, 0, stream>>>(task, schedule);
  check_launch("als_update");

  switch (als_shape_of(task.fixed.columns)) {
    case 0:
      return solve_systems<1>(task, workspace, plan, stream);
    case 1:
      return solve_systems<2>(task, workspace, plan, stream);
    default:
      return solve_systems<4>(task, workspace, plan, stream);
  }
}

}  // namespace

void als_update_gpu(Context& context, const AlsTask& task) {
  GpuBackend& device = gpu(context);
  const AlsPlan plan = als_plan(task.ratings.rows, task.fixed.columns, device.limits());
  AlsWorkspace workspace = {};
  const size_t bytes = divide(plan, task.fixed.columns, nullptr, workspace);
  divide(plan, task.fixed.columns, static_cast<char*>(context.scratch(bytes)), workspace);
  for (int64_t first = 0; first < task.ratings.rows; first += plan.rows) {
    workspace.schedule.first_row = first;
    workspace.schedule.rows = static_cast<uint32_t>(std::min(plan.rows, task.ratings.rows - first));
    solve_pass(task, workspace, plan, device.stream());
  }
}

}  // namespace sartor::cuda
