// Each row is solved by one block, with the equations of als_isa.cpp: the smaller of the primal and the dual system,
// bordered by the bias.
#include <algorithm>

#include "core/gpu_backend.cuh"
#include "factorization/als.cuh"
#include "factorization/als_schedule.cuh"
#include "factorization/cholesky_large.cuh"
#include "factorization/normal_equations.cuh"

namespace sartor::cuda {
namespace {

struct Workspace {
  AlsSchedule schedule;
  float* slots;  // partial sums of shared rows
  int64_t slot_size;
  float* blocks;  // scratch memory of the blocks
  int64_t block_size;
};

// A row's system. z and l have whole tiles.
struct System {
  Triangle g;
  float *z, *l, *bounds;
};

template <class Shape> struct Shared {
  GramShared<Shape> gram;  // later the triangle, in place of the stages
  alignas(16) float z[Shape::unknowns], l[Shape::unknowns], bounds[Shape::unknowns];
  float total;  // sum of the residuals
  uint32_t taken;

  __device__ System system(float*, int64_t) { return {{gram.stages[0]}, z, l, bounds}; }
};
template <> struct Shared<GramShape<4>> {
  union {
    GramShared<GramShape<4>> gram;
    LargeCholesky cholesky;
  };
  float total;
  uint32_t taken;

  __device__ System system(float* memory, int64_t size) {
    const int64_t unknowns = Triangle::tiles(size) * Triangle::side;
    float* z = memory + Triangle::floats(size);
    return {{memory}, z, z + unknowns, z + 2 * unknowns};
  }
};

template <class Shape> __device__ Shared<Shape>& shared_memory() {
  extern __shared__ float4 memory[];
  static_assert(sizeof(Shared<Shape>) <= Shape::shared_bytes);
  return *reinterpret_cast<Shared<Shape>*>(memory);
}

// The next number of a counter, for all threads of a block.
template <class Shape> __device__ uint32_t take(uint32_t& counter, Shared<Shape>& shared) {
  __syncthreads();
  if (threadIdx.x == 0) shared.taken = atomicAdd(&counter, 1);
  __syncthreads();
  return shared.taken;
}

__device__ AlsRow row_of(const AlsTask& task, int64_t index) {
  const int64_t begin = task.ratings.offsets[index];
  return {equations_of(task, task.ratings.offsets[index + 1] - begin), task.ratings.columns + begin,
          task.ratings.values + begin};
}

template <class Shape> class RowSolver {
 public:
  // slots: the partial sums of the row's parts, or null. memory: scratch memory of the block.
  __device__ RowSolver(const AlsTask& task, const AlsRow& row, int64_t index, float* slots, float* memory,
                       Shared<Shape>& shared)
      : task_(task),
        row_(row),
        index_(index),
        slots_(slots),
        partial_(memory),
        system_(shared.system(memory + Shape::sum_floats, row.size())),
        shared_(shared),
        size_(static_cast<int>(row.size())) {}

  // Returns false in all threads if the row cannot be solved, because the input is not finite.
  __device__ bool solve() const {
    float shift = 0, mean_diagonal = -1;
    for (bool shifted = row_.needs_shift();; shifted = true) {
      build();
      if (shifted) {
        if (mean_diagonal < 0) {
          mean_diagonal = als_mean_diagonal(row_, sum([&](int i) { return diagonal(i); }));
          __syncthreads();
        }
        shift = als_next_shift(shift, mean_diagonal);
        if (shift < 0) return false;
      }
      if (solve_with(shift)) return true;
    }
  }

 private:
  static constexpr bool large = Shape::panels == 4;
  static constexpr int threads = Shape::threads;

  __device__ float& diagonal(int i) const {
    return system_.g.tile(i / Triangle::side, i / Triangle::side)[i % Triangle::side * (Triangle::side + 1)];
  }

  // Sum of value(i) for i < size. Each warp computes it.
  template <class Value> __device__ float sum(Value value) const {
    float total = 0;
    for (int i = threadIdx.x % 32; i < size_; i += 32) total += value(i);
    for (int step = 16; step; step /= 2) total += __shfl_xor_sync(~0u, total, step);
    return total;
  }

  // Computes G and the right-hand sides. Ends with a barrier.
  __device__ void build() const {
    const int regions = large ? als_regions(size_) : 1;
    for (int index = 0; index < regions; index++) {
      const GramRegion region = large ? gram_region(index) : GramRegion{};
      GramSums<Shape> sums;
      sums.set_zero();
      if (slots_) {
        const int64_t parts = als_parts(row_.ratings);
        for (int64_t part = 0; part < parts; part++) sums.add(slots_ + (part * regions + index) * Shape::sum_floats);
      } else if (row_.dual) {
        NormalEquations<Shape, true>(task_, row_, region, shared_.gram).add(0, static_cast<int>(row_.factors), sums);
      } else {
        add_parts(region, sums);
      }
      __syncthreads();  // the triangle takes the place of the stages
      store(region, sums);
      if (!row_.dual && region.triangle()) store_right_sides(region, sums);
    }
    if (row_.dual) store_residuals();
    __syncthreads();
  }

  __device__ void add_parts(const GramRegion& region, GramSums<Shape>& sums) const {
    const int64_t length = als_part_length(row_.ratings);
    for (int64_t begin = 0; begin < row_.ratings; begin += length) {
      const int64_t end = min(begin + length, row_.ratings);
      if (begin > 0) sums.set_zero();
      NormalEquations<Shape, false>(task_, row_, region, shared_.gram)
          .add(static_cast<int>(begin), static_cast<int>(end), sums);
      if (begin > 0) sums.add(partial_);
      if (end < row_.ratings) sums.save(partial_);
    }
  }

  __device__ void store(const GramRegion& region, GramSums<Shape>& sums) const {
    constexpr int copies = Shape::panels == 1 ? Shape::warps : 1;  // of the triangle, with different terms
    for (int copy = 0; copy < copies; copy++) {
      if (copies == 1 || threadIdx.x / 32 == copy) {
        for_products<Shape>(region, size_, sums, [&](int row, int column, const float(&entries)[4]) {
          constexpr int side = Triangle::side;
          const int lane = threadIdx.x % 32;
          float* tile = system_.g.tile(int64_t(row / side), int64_t(column / side)) + column % side;
          auto *upper = reinterpret_cast<float2*>(tile + lane / 4 * side + lane % 4 * 2), *lower = upper + 4 * side;
          const float2 a = copy ? *upper : float2{}, b = copy ? *lower : float2{};
          *upper = float2{a.x + entries[0], a.y + entries[1]};
          *lower = float2{b.x + entries[2], b.y + entries[3]};
        });
      }
      if (copies > 1) __syncthreads();
    }
  }

  __device__ void store_right_sides(const GramRegion& region, const GramSums<Shape>& sums) const {
    const int c = region.first + threadIdx.x % Shape::unknowns;
    const bool valid = c < Triangle::tiles(size_) * Triangle::side;
    if (valid && threadIdx.x < Shape::unknowns) {
      system_.z[c] = sums.z;
      system_.l[c] = sums.l;
    }
    if constexpr (threads > Shape::unknowns) {
      __syncthreads();
      if (valid && threadIdx.x >= Shape::unknowns) {
        system_.z[c] += sums.z;
        system_.l[c] += sums.l;
      }
    }
    if (threadIdx.x < 32 && region.first == 0) {
      float total = sums.total;
      for (int step = 16; step; step /= 2) total += __shfl_xor_sync(~0u, total, step);
      if (threadIdx.x == 0) shared_.total = total;
    }
  }

  __device__ void store_residuals() const {
    for (int k = threadIdx.x; k < Triangle::tiles(size_) * Triangle::side; k += threads) {
      const bool valid = k < size_;
      float residual = valid ? row_.values[k] - task_.mean : 0;
      if (valid && task_.fixed_bias) residual -= task_.fixed_bias[row_.columns[k]];
      system_.z[k] = residual;
      system_.l[k] = valid;
    }
  }

  // Returns false in all threads if the system is numerically singular.
  __device__ bool solve_with(float shift) const {
    const Triangle g = system_.g;
    float *z = system_.z, *l = system_.l, *bounds = system_.bounds;
    for (int i = threadIdx.x; i < size_; i += threads) {
      diagonal(i) += row_.lambda + shift;
      bounds[i] = diagonal(i) * als::rounding;
    }
    __syncthreads();
    if constexpr (large) {
      if (!factorize_large<threads>(g, size_, bounds, z, l, shared_.cholesky)) return false;
    } else {
      if (!factorize<threads>(g, size_, bounds, z, l)) return false;
    }
    float bias = 0;
    if (row_.biased) {
      const float lz = sum([&](int i) { return l[i] * z[i]; }), ll = sum([&](int i) { return l[i] * l[i]; });
      if (!als_bias(row_, shift, lz, ll, shared_.total, bias)) return false;
      if (threadIdx.x == 0) task_.solved_bias[index_] = bias;
    }
    __syncthreads();
    if constexpr (large) {
      for (int i = threadIdx.x; i < size_; i += threads) z[i] -= bias * l[i];
      __syncthreads();
      solve_upper_large<threads>(g, size_, z, shared_.cholesky);
    } else {
      if (threadIdx.x < 32) {
        for (int i = threadIdx.x; i < size_; i += 32) z[i] -= bias * l[i];
        __syncwarp();
        solve_upper(g, size_, z);
      }
      __syncthreads();
    }
    write_factors();
    return true;
  }

  __device__ void write_factors() const {
    const int64_t f = row_.factors;
    for (int64_t c = threadIdx.x; c < f; c += threads) {
      float x = row_.dual ? 0 : system_.z[c];
      if (row_.dual) {
        const int32_t* ids = large ? row_.columns : shared_.gram.ids;
#pragma unroll 4
        for (int k = 0; k < size_; k++) x = fmaf(system_.z[k], task_.fixed.data[ids[k] * f + c], x);
      }
      task_.solved.data[index_ * f + c] = x;
    }
  }

  const AlsTask& task_;
  const AlsRow& row_;
  int64_t index_;
  float *slots_, *partial_;
  System system_;
  Shared<Shape>& shared_;
  int size_;
};

// Sets the row's factors and bias, if any, to `value`.
__device__ void fill(const AlsTask& task, int64_t index, float value) {
  const int64_t f = task.fixed.columns;
  for (int64_t c = threadIdx.x; c < f; c += blockDim.x) task.solved.data[index * f + c] = value;
  if (task.solved_bias && threadIdx.x == 0) task.solved_bias[index] = value;
}

template <int panels> constexpr int shape_index = panels / 2;

// Solves the rows in bins `lowest` to `end` - 1.
template <int panels>
__global__ void __launch_bounds__(GramShape<panels>::threads, GramShape<panels>::blocks_per_multiprocessor)
    solve_rows(AlsTask task, Workspace workspace, int lowest, int end) {
  using Shape = GramShape<panels>;
  auto& shared = shared_memory<Shape>();
  const AlsSchedule& schedule = workspace.schedule;
  const uint32_t first = schedule.rows_from(end), last = schedule.rows_from(lowest);
  const uint32_t shared_rows = schedule.rows_from(schedule.first_shared_bin());
  float* memory = workspace.blocks + blockIdx.x * workspace.block_size;
  for (;;) {
    const uint32_t position = first + take(schedule.counts->taken_rows[shape_index<panels>], shared);
    if (position >= last) return;
    const int64_t index = schedule.first_row + schedule.order[position];
    const AlsRow row = row_of(task, index);
    if (row.ratings == 0) {
      fill(task, index, 0);
      continue;
    }
    const int slot = position < shared_rows ? schedule.first_slot[position] : -1;
    float* slots = slot < 0 ? nullptr : workspace.slots + slot * workspace.slot_size;
    if (!RowSolver<Shape>(task, row, index, slots, memory, shared).solve()) fill(task, index, nanf(""));
  }
}

// Computes the partial sums of rows that several blocks share.
template <int panels>
__global__ void __launch_bounds__(GramShape<panels>::threads, GramShape<panels>::blocks_per_multiprocessor)
    add_parts(AlsTask task, Workspace workspace) {
  using Shape = GramShape<panels>;
  auto& shared = shared_memory<Shape>();
  const AlsSchedule& schedule = workspace.schedule;
  const uint32_t regions = panels == 4 ? als_regions(task.fixed.columns) : 1, parts = schedule.counts->slots * regions;
  for (;;) {
    const uint32_t taken = take(schedule.counts->taken_parts, shared);
    if (taken >= parts) return;
    const auto [position, part] = schedule.parts[taken / regions];
    const AlsRow row = row_of(task, schedule.first_row + schedule.order[position]);
    const GramRegion region = panels == 4 ? gram_region(taken % regions) : GramRegion{};
    const int64_t length = als_part_length(row.ratings), begin = part * length;
    GramSums<Shape> sums;
    sums.set_zero();
    NormalEquations<Shape, false>(task, row, region, shared.gram)
        .add(static_cast<int>(begin), static_cast<int>(min(begin + length, row.ratings)), sums);
    sums.save(workspace.slots + taken * int64_t(Shape::sum_floats));
  }
}

// Divides memory into the arrays of a workspace. Returns its size in bytes.
size_t divide(const AlsPlan& plan, char* memory, Workspace& workspace) {
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
  place(workspace.schedule.first_slot, plan.slots);
  place(workspace.schedule.parts, plan.slots);
  place(workspace.slots, plan.slots * plan.slot_size);
  place(workspace.blocks, *std::ranges::max_element(plan.blocks) * plan.block_size);
  return bytes;
}

template <auto kernel, int panels, class... Arguments>
void launch(int blocks, cudaStream_t stream, const Arguments&... arguments) {
  using Shape = GramShape<panels>;
  static const cudaError_t allowed =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Shape::shared_bytes);
  check(allowed, "als_update");
  kernel<<<blocks, Shape::threads, Shape::shared_bytes, stream>>>(arguments...);
  check_launch("als_update");
}

// Solves the rows of one pass, the longest first.
void solve_pass(const AlsTask& task, const Workspace& workspace, const AlsPlan& plan, cudaStream_t stream) {
  const AlsSchedule& schedule = workspace.schedule;
  check(cudaMemsetAsync(schedule.counts, 0, sizeof *schedule.counts, stream), "als_update");
  const uint32_t blocks = (schedule.rows + schedule_threads - 1) / schedule_threads;
  count_rows<<<blocks, schedule_threads, 0, stream>>>(task, schedule);
  check_launch("als_update");
  place_rows<<<blocks, schedule_threads, 0, stream>>>(task, schedule);
  check_launch("als_update");

  const int widest = als_shape_of(task.fixed.columns);
  if (widest == 0) launch<add_parts<1>, 1>(plan.part_blocks, stream, task, workspace);
  if (widest == 1) launch<add_parts<2>, 2>(plan.part_blocks, stream, task, workspace);
  if (widest == 2) launch<add_parts<4>, 4>(plan.part_blocks, stream, task, workspace);

  constexpr int middle = als_bin(64) + 1, long_rows = als_bin(128) + 1;  // systems of rows below are small
  if (widest == 2) launch<solve_rows<4>, 4>(plan.blocks[2], stream, task, workspace, long_rows, als_bins);
  if (widest >= 1) {
    launch<solve_rows<2>, 2>(plan.blocks[1], stream, task, workspace, middle, widest == 1 ? als_bins : long_rows);
  }
  launch<solve_rows<1>, 1>(plan.blocks[0], stream, task, workspace, 0, widest == 0 ? als_bins : middle);
}

}  // namespace

void als_update_gpu(Context& context, const AlsTask& task) {
  GpuBackend& device = gpu(context);
  const AlsPlan plan = als_plan(task.ratings.rows, task.fixed.columns, device.limits());
  Workspace workspace = {};
  const size_t bytes = divide(plan, nullptr, workspace);
  divide(plan, static_cast<char*>(context.scratch(bytes)), workspace);
  for (int64_t first = 0; first < task.ratings.rows; first += plan.rows) {
    workspace.schedule.first_row = first;
    workspace.schedule.rows = static_cast<uint32_t>(std::min(plan.rows, task.ratings.rows - first));
    solve_pass(task, workspace, plan, device.stream());
  }
}

}  // namespace sartor::cuda
