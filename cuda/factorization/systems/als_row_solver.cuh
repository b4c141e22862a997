// A block's memory while it solves one row of a problem after the other, and the solution of a row: the smaller of the
// primal and the dual system, bordered by the bias, with the equations of als_isa.cpp.
#pragma once

#include "factorization/systems/als_schedule.cuh"
#include "factorization/systems/cholesky_large.cuh"
#include "factorization/systems/normal_equations.cuh"

namespace sartor::cuda {

struct AlsWorkspace {
  AlsSchedule schedule;
  float* slots;  // partial sums of shared rows
  int64_t slot_size;
  float* blocks;  // scratch memory of the blocks
  int64_t block_size;
};

// What a block works on. In shared memory, as registers are needed for sums.
template <class Problem> struct AlsBlock {
  Problem problem;
  AlsWorkspace workspace;
  uint32_t begin, end, shared_end;  // positions of the kernel's rows; rows before the last have been computed in parts
  uint32_t* taken;                  // counter of rows or parts

  // The row that is solved.
  bool found;
  AlsRow row;
  int64_t index;
  float* slots;    // sums of a shared row by region, or null
  float* partial;  // memory for partial sums, followed by that of a large system
  GramRegion region;
  int region_index;
  int part_length, part;  // ratings per part; the part to compute, if it is not the whole row
  float shift, mean_diagonal;
  bool shifted;
  float total;  // sum of the residuals
};

// A row's system. z and l have whole tiles.
struct AlsSystem {
  Triangle g;
  float *z, *l, *bounds;
};

template <class Problem, class Shape, bool dual> struct AlsShared {
  static constexpr bool keeps_rows = dual && Shape::keeps_rows;

  GramShared<Shape> gram;
  alignas(16) float triangle[keeps_rows ? Triangle::floats(Shape::unknowns) : 1];  // otherwise in place of the stages
  alignas(16) float z[Shape::unknowns], l[Shape::unknowns], bounds[Shape::unknowns];
  AlsBlock<Problem> block;

  __device__ AlsSystem system() { return {{keeps_rows ? triangle : gram.stages[0]}, z, l, bounds}; }
};
template <class Problem, bool dual> struct AlsShared<Problem, GramShape<4>, dual> {
  static constexpr bool keeps_rows = false;

  union {
    GramShared<GramShape<4>> gram;
    LargeCholesky cholesky;
  };
  AlsBlock<Problem> block;

  __device__ AlsSystem system() {
    const int64_t size = block.row.size(), unknowns = Triangle::tiles(size) * Triangle::side;
    float* triangle = block.partial + GramShape<4>::sum_floats;
    float* z = triangle + Triangle::floats(size);
    return {{triangle}, z, z + unknowns, z + 2 * unknowns};
  }
};

template <class Problem, class Shape, bool dual> __device__ AlsShared<Problem, Shape, dual>& shared_memory() {
  extern __shared__ float4 memory[];
  static_assert(sizeof(AlsShared<Problem, Shape, dual>) <= (dual ? Shape::dual_shared_bytes : Shape::shared_bytes));
  return *reinterpret_cast<AlsShared<Problem, Shape, dual>*>(memory);
}

template <class Problem, class Shape, bool dual> class AlsRowSolver {
 public:
  __device__ explicit AlsRowSolver(AlsShared<Problem, Shape, dual>& shared) : shared_(shared) {}

  // Returns false in all threads if the row cannot be solved, because the input is not finite.
  __device__ bool solve() const {
    AlsBlock<Problem>& block = shared_.block;
    for (;;) {
      build();
      if (block.shifted) {
        if (threadIdx.x < 32) next_shift(block);
        __syncthreads();
        if (block.shift < 0) return false;
      }
      if (solve_with(block.shift)) return true;
      if (thread_index() == 0) block.shifted = true;
    }
  }

 private:
  static constexpr bool large = Shape::panels == 4;
  static constexpr int threads = Shape::threads;

  __device__ const Problem& problem() const { return shared_.block.problem; }
  __device__ const AlsRow& row() const { return shared_.block.row; }
  __device__ int size() const { return static_cast<int>(row().size()); }

  __device__ float& diagonal(int i) const {
    return shared_.system().g.tile(i / Triangle::side, i / Triangle::side)[i % Triangle::side * (Triangle::side + 1)];
  }

  // Called by one warp.
  __device__ void next_shift(AlsBlock<Problem>& block) const {
    const float mean = als_mean_diagonal(row(), sum([&](int i) { return diagonal(i); }));
    if (block.shift == 0) block.mean_diagonal = mean;
    __syncwarp();
    const float shift = pivots::next_shift(block.shift, block.mean_diagonal);
    __syncwarp();
    block.shift = shift;
  }

  // Sum of value(i) for i < size. Each warp computes it.
  template <class Value> __device__ float sum(Value value) const {
    float total = 0;
    for (int i = threadIdx.x % 32; i < size(); i += 32) total += value(i);
    for (int step = 16; step; step /= 2) total += __shfl_xor_sync(~0u, total, step);
    return total;
  }

  // Computes G and the right-hand sides. Ends with a barrier.
  __device__ void build() const {
    const AlsBlock<Problem>& block = shared_.block;
    if constexpr (large) set_region(0);
    do {
      GramSums<Shape> sums(shared_.gram);
      if constexpr (dual) {
        NormalEquations<Problem, Shape, true>(block.problem, block.row, block.region, shared_.gram)
            .add(0, static_cast<int>(block.row.factors), sums);
      } else {
        add_parts(sums);
      }
      __syncthreads();  // the triangle takes the place of the stages
      store(block.region, sums);
      if constexpr (!dual) {
        if (block.region.triangle()) store_right_sides(block.region, sums);
      }
    } while (large && next_region());
    if constexpr (dual) store_residuals();
    __syncthreads();
    if constexpr (Problem::weighted || Problem::drawn) add_start();
  }
  // Adds what the system has besides the terms. Ends with a barrier. Not inlined, like solve_with().
  static __device__ __noinline__ void add_start() {
    return AlsRowSolver(shared_memory<Problem, Shape, dual>()).add_matrix_and_right_side();
  }
  __device__ void add_matrix_and_right_side() const {
    const AlsBlock<Problem>& block = shared_.block;
    constexpr int side = Triangle::side;
    const int n = size(), tiles = Triangle::tiles(n);
    for (int column = 0; column < tiles; column++) {
      float* to = shared_.system().g.tile(int64_t{0}, int64_t{column});  // the tiles above are side by side
      const int entries = min((column + 1) * side, n) * side;
      for (int e = threadIdx.x; e < entries; e += threads) {
        const int unknown = column * side + e % side;
        if (unknown < n) to[e] += block.problem.start(e / side, unknown);
      }
    }
    for (int i = threadIdx.x; i < n; i += threads) {
      shared_.system().z[i] += block.problem.right_side(block.row, block.index, i);
    }
    __syncthreads();
  }
  __device__ void set_region(int index) const {
    if (thread_index() == 0) {
      shared_.block.region_index = index;
      shared_.block.region = gram_region(index);
    }
    __syncthreads();
  }
  __device__ bool next_region() const {
    const int next = shared_.block.region_index + 1;
    __syncthreads();
    if (next < als_regions(size())) set_region(next);
    return next < als_regions(size());
  }

  __device__ void add_parts(GramSums<Shape>& sums) const {
    const AlsBlock<Problem>& block = shared_.block;
    if (Problem::drawn && block.row.ratings == 0) return;
    if (block.slots) return sums.load(block.slots + block.region_index * Shape::sum_floats);
    const auto ratings = [&] { return static_cast<int>(block.row.ratings); };
    for (int begin = 0; begin < ratings(); begin = shared_.gram.end) {
      NormalEquations<Problem, Shape, false>(block.problem, block.row, block.region, shared_.gram)
          .add(begin, begin + min(block.part_length, ratings() - begin), sums);
      if (ratings() <= block.part_length) return;
      if (shared_.gram.begin == 0) {
        sums.save(block.partial);
      } else {
        sums.accumulate(block.partial);
      }
      sums.set_zero();
    }
    sums.load(block.partial);
  }

  __device__ void store(const GramRegion& region, GramSums<Shape>& sums) const {
    constexpr int copies = Shape::panels == 1 ? Shape::warps : 1;  // of the triangle, with different terms
    constexpr int side = Triangle::side;
    const int lane = thread_index() % 32, offset = lane / 4 * side + lane % 4 * 2;
#pragma unroll 1
    for (int copy = 0; copy < copies; copy++) {
      if (copies == 1 || threadIdx.x / 32 == copy) {
        for_products<Shape>(region, row(), sums, [&](int row, int column, const float(&entries)[4]) {
          float* tile = shared_.system().g.tile(int64_t(row / side), int64_t(column / side)) + column % side;
          auto *upper = reinterpret_cast<float2*>(tile + offset), *lower = upper + 4 * side;
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
    const bool valid = c < Triangle::tiles(size()) * Triangle::side;
    if (valid && threadIdx.x < Shape::unknowns) {
      shared_.system().z[c] = sums.right.z;
      shared_.system().l[c] = sums.right.l;
    }
    if constexpr (threads > Shape::unknowns) {
      __syncthreads();
      if (valid && threadIdx.x >= Shape::unknowns) {
        shared_.system().z[c] += sums.right.z;
        shared_.system().l[c] += sums.right.l;
      }
    }
    if (threadIdx.x < 32 && region.first == 0) {
      float total = sums.right.total;
      for (int step = 16; step; step /= 2) total += __shfl_xor_sync(~0u, total, step);
      if (thread_index() == 0) shared_.block.total = total;
    }
  }

  __device__ void store_residuals() const {
    for (int k = threadIdx.x; k < Triangle::tiles(size()) * Triangle::side; k += threads) {
      const bool valid = k < size();
      const float* second = valid ? problem().second(row(), k, row().columns[k]) : nullptr;
      shared_.system().z[k] = valid ? problem().term(row().values[k], second ? *second : 0).residual : 0;
      shared_.system().l[k] = valid;
    }
  }

  // Returns false in all threads if the system is numerically singular. Not inlined, so that what it needs does not
  // compete with the sums for registers.
  static __device__ __noinline__ bool solve_with(float shift) {
    return AlsRowSolver(shared_memory<Problem, Shape, dual>()).solve_system(shift);
  }
  __device__ bool solve_system(float shift) const {
    const Triangle g = shared_.system().g;
    float *z = shared_.system().z, *l = shared_.system().l, *bounds = shared_.system().bounds;
    for (int i = threadIdx.x; i < size(); i += threads) {
      diagonal(i) += row().lambda + shift;
      bounds[i] = diagonal(i) * pivots::rounding;
    }
    __syncthreads();
    if constexpr (large) {
      if (!factorize_large<threads>(g, size(), bounds, z, l, shared_.cholesky)) return false;
    } else {
      if (!factorize<threads>(g, size(), bounds, z, l)) return false;
    }
    if constexpr (Problem::drawn) {
      for (int i = threadIdx.x; i < size(); i += threads) z[i] += problem().noise(shared_.block.index, i);
    }
    float bias = 0;
    if (Problem::may_be_biased && row().biased) {
      const float lz = sum([&](int i) { return l[i] * z[i]; }), ll = sum([&](int i) { return l[i] * l[i]; });
      if (!als_bias(row(), shift, lz, ll, shared_.block.total, bias)) return false;
      if (thread_index() == 0) problem().write_bias(shared_.block.index, bias);
    }
    __syncthreads();
    if constexpr (large) {
      for (int i = threadIdx.x; i < size(); i += threads) z[i] -= bias * l[i];
      __syncthreads();
      solve_upper_large<threads>(g, size(), z, shared_.cholesky);
    } else {
      if (threadIdx.x < 32) {
        for (int i = threadIdx.x; i < size(); i += 32) z[i] -= bias * l[i];
        __syncwarp();
        solve_upper(g, size(), z);
      }
      __syncthreads();
    }
    write_factors();
    return true;
  }

  // The primal solution is x, the dual one is a in x = Y^T a.
  __device__ void write_factors() const {
    const int64_t f = row().factors;
    const float* solution = shared_.system().z;
    for (int64_t c = threadIdx.x; c < f; c += threads) {
      problem().write(shared_.block.index, c, dual ? combined(solution, c) : solution[c]);
    }
  }
  // Factor c of Y^T a.
  __device__ float combined(const float* a, int64_t c) const {
    const int64_t f = row().factors;
    float x = 0;
    if (shared_.keeps_rows && f <= Shape::stages * Shape::depth) {
      const float* y = shared_.gram.stages[c / Shape::depth] + c % Shape::depth;
#pragma unroll 4
      for (int k = 0; k < size(); k++) x = fmaf(a[k], y[k * Shape::dual_stride], x);
      return x;
    }
    const int32_t* ids = large ? row().columns : shared_.gram.ids;
#pragma unroll 4
    for (int k = 0; k < size(); k++) x = fmaf(a[k], problem().features()[ids[k] * f + c], x);
    return x;
  }

  AlsShared<Problem, Shape, dual>& shared_;
};

}  // namespace sartor::cuda
