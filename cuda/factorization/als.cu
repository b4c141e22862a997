#include <algorithm>

#include "core/gpu_backend.cuh"
#include "factorization/als.cuh"

namespace sartor::cuda {
namespace {

// Each block solves one row at a time, with the equations of als_isa.cpp: the smaller of the primal and the dual
// system, bordered by the bias; the Cholesky factor G = U^T U is computed by block rows from the top. Matrices are
// stored in T x T tiles. A block stores only the triangle of its current row.
constexpr int T = 64;                 // tile size
constexpr int threads = 256;          // 16 x 16; thread (tx, ty) computes the entries (ty + 16 a, tx + 16 b) of a tile
constexpr int slice = 32;             // rows per step of a product
constexpr float rounding = 2e-7f;     // lower bound of a pivot, relative to its diagonal entry
constexpr float first_shift = 1e-6f;  // initial shift, relative to the mean diagonal entry

struct Row {
  int64_t count;
  const int32_t* columns;
  const float* values;
  float lambda, beta;
  bool dual;
  int64_t size;  // number of equations
};

// Workspace of one block, in device memory.
struct Workspace {
  float* triangle;  // U in tiles (i, j), i <= j; the diagonal ones are transposed inverses of the blocks of U
  float* z;         // tiles * T
  float* l;         // tiles * T

  __device__ float* tile(int64_t i, int64_t j) const { return triangle + (j * (j + 1) / 2 + i) * T * T; }
};

struct Shared {
  float slices[2][slice][T + 1];  // the two slabs to multiply; also used together as one tile
  float inverse[T][T + 1];        // the diagonal block, then its transposed inverse
  float residuals[slice];
  float bounds[T];  // lower bounds of the pivots
  float scales[T];
  float right[2][T];
  float results[4];
  unsigned long long row;
};

__host__ __device__ int64_t tiles_of(int64_t size) { return (size + T - 1) / T; }

__device__ float residual(const AlsTask& task, const Row& row, int64_t k) {
  return row.values[k] - task.mean - (task.fixed_bias ? task.fixed_bias[row.columns[k]] : 0);
}

// Sum of value(k) for k < size, computed by the first warp and returned to all threads. Uses one of `results`.
template <class Value> __device__ float sum(int64_t size, float* result, Value value) {
  __syncthreads();
  if (threadIdx.x < 32) {
    float total = 0;
    for (int64_t k = threadIdx.x; k < size; k += 32) total += value(k);
    for (int step = 16; step; step /= 2) total += __shfl_xor_sync(~0u, total, step);
    if (threadIdx.x == 0) *result = total;
  }
  __syncthreads();
  return *result;
}

// Loads rows begin to begin + slice - 1 of slab `slab` of the panel Y (primal) or Y^T (dual); zeros outside.
__device__ void load_panel(const AlsTask& task, const Row& row, int64_t slab, int64_t begin, float (*to)[T + 1]) {
  const int64_t f = task.fixed.columns;
  for (int e = threadIdx.x; e < slice * T; e += threads) {  // coalesced reads
    const int k = row.dual ? e % slice : e / T, c = row.dual ? e / slice : e % T;
    const int64_t rating = row.dual ? slab * T + c : begin + k, feature = row.dual ? begin + k : slab * T + c;
    to[k][c] = rating < row.count && feature < f ? task.fixed.data[row.columns[rating] * f + feature] : 0;
  }
}

// sums += sign * a^T b over `slice` rows.
__device__ void multiply(float (&sums)[4][4], float sign, const float (*a)[T + 1], const float (*b)[T + 1]) {
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  for (int k = 0; k < slice; k++) {
    float left[4], right[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      left[i] = sign * a[k][ty + 16 * i];
      right[i] = b[k][tx + 16 * i];
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) sums[i][j] += left[i] * right[j];
    }
  }
}

// Calls visit(row, column, entry) for this thread's entries of a tile.
template <class Visit> __device__ void for_entries(float (&entries)[4][4], Visit visit) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) visit(threadIdx.x / 16 + 16 * i, threadIdx.x % 16 + 16 * j, entries[i][j]);
  }
}

// Replaces the diagonal block D in shared.inverse by the transposed inverse of its Cholesky factor, with zeros above
// the diagonal. The row operations that turn D into U turn I into that inverse; row r stores both, the inverse left of
// column r. The first `size` columns are valid, the others are zero. Returns false in all threads if a pivot is not
// above its bound.
__device__ bool invert_diagonal(int size, Shared& shared) {
  auto& d = shared.inverse;
  for (int r = 0; r < size; r++) {
    __syncthreads();
    const float pivot = d[r][r];
    if (!(pivot > shared.bounds[r])) return false;
    if (threadIdx.x == 0) shared.scales[r] = 1 / sqrtf(pivot);
    for (int e = threadIdx.x; e < (size - 1 - r) * T; e += threads) {
      const int s = r + 1 + e / T, c = e % T;
      if (c == r) {
        d[s][c] = -d[r][s] / pivot;
      } else if (c < r || c >= s) {
        d[s][c] -= d[r][s] / pivot * d[r][c];
      }
    }
  }
  __syncthreads();
  for (int e = threadIdx.x; e < T * T; e += threads) {
    const int r = e / T, c = e % T;
    const float scale = r < size ? shared.scales[r] : 1;
    d[r][c] = c < r ? d[r][c] * scale : c == r ? scale : 0;
  }
  __syncthreads();
  return true;
}

// Computes block row i of U, z and l. Returns false if a pivot is not above its bound.
__device__ bool solve_block_row(const AlsTask& task, const Row& row, float shift, int64_t i, const Workspace& own,
                                Shared& shared) {
  const int64_t f = task.fixed.columns, tiles = tiles_of(row.size), depth = row.dual ? f : row.count;
  auto& [a, b] = shared.slices;
  const int t = threadIdx.x;
  for (int64_t j = i; j < tiles; j++) {
    const auto& right_slice = i == j ? a : b;
    float sums[4][4] = {}, z = 0, l = 0;
    for (int64_t begin = 0; begin < depth; begin += slice) {
      __syncthreads();
      load_panel(task, row, i, begin, a);
      if (i != j) load_panel(task, row, j, begin, b);
      if (t < slice) shared.residuals[t] = !row.dual && begin + t < depth ? residual(task, row, begin + t) : 0;
      __syncthreads();
      multiply(sums, 1, a, right_slice);
      if (i == j && t < T && !row.dual) {
        for (int k = 0; k < slice; k++) {
          z += shared.residuals[k] * a[k][t];
          l += a[k][t];
        }
      }
    }
    if (i == j) {
      for_entries(sums, [&](int r, int c, float& entry) {
        if (r != c) return;
        entry += row.lambda + shift;
        shared.bounds[r] = entry * rounding;
      });
    }
    for (int64_t k = 0; k < i * T; k += slice) {
      __syncthreads();
      for (int e = t; e < slice * T; e += threads) {
        a[e / T][e % T] = own.tile(k / T, i)[k % T * T + e];
        if (i != j) b[e / T][e % T] = own.tile(k / T, j)[k % T * T + e];
      }
      __syncthreads();
      multiply(sums, -1, a, right_slice);
    }
    __syncthreads();
    if (i == j) {
      for_entries(sums, [&](int r, int c, float entry) { shared.inverse[r][c] = entry; });
      if (!invert_diagonal(min(row.size - i * T, int64_t(T)), shared)) return false;
      for (int e = t; e < T * T; e += threads) own.tile(i, i)[e] = shared.inverse[e / T][e % T];
      if (t < T) {
        const int64_t index = i * T + t;
        if (row.dual && index < row.size) {
          z = residual(task, row, index);
          l = 1;
        }
        for (int64_t k = 0; k < i * T; k++) {
          const float u = own.tile(k / T, i)[k % T * T + t];
          z -= u * own.z[k];
          l -= u * own.l[k];
        }
        shared.right[0][t] = z;
        shared.right[1][t] = l;
      }
      __syncthreads();
      if (t < 2 * T) {
        float solved = 0;
        for (int k = 0; k <= t % T; k++) solved += shared.inverse[t % T][k] * shared.right[t / T][k];
        (t < T ? own.z : own.l)[i * T + t % T] = solved;
      }
    } else {
      auto* rest = reinterpret_cast<float(*)[T + 1]>(shared.slices);
      for_entries(sums, [&](int r, int c, float entry) { rest[r][c] = entry; });
      __syncthreads();
      float* u = own.tile(i, j);
      for_entries(sums, [&](int r, int c, float& entry) {
        entry = 0;
        for (int k = 0; k <= r; k++) entry += shared.inverse[r][k] * rest[k][c];
        u[r * T + c] = entry;
      });
    }
  }
  return true;
}

// z = U^-1 (z - bias l), by block rows from the bottom.
__device__ void solve_triangle(int64_t tiles, float bias, const Workspace& own, Shared& shared) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int64_t i = tiles - 1; i >= 0; i--) {
    for (int r = warp; r < T; r += threads / 32) {
      float known = 0;
      for (int64_t c = lane; c < (tiles - 1 - i) * T; c += 32) {
        known += own.tile(i, i + 1 + c / T)[r * T + c % T] * own.z[(i + 1) * T + c];
      }
      for (int step = 16; step; step /= 2) known += __shfl_xor_sync(~0u, known, step);
      if (lane == 0) shared.right[0][r] = own.z[i * T + r] - bias * own.l[i * T + r] - known;
    }
    __syncthreads();
    if (threadIdx.x < T) {
      float x = 0;
      for (int r = threadIdx.x; r < T; r++) x += own.tile(i, i)[r * T + threadIdx.x] * shared.right[0][r];
      own.z[i * T + threadIdx.x] = x;
    }
    __syncthreads();
  }
}

// Solves the row with `shift` added to the diagonal. Returns false in all threads if the system is numerically
// singular. Not inlined: it has two callers, and two copies would spill registers.
__device__ __noinline__ bool solve_with(const AlsTask& task, const Row& row, float shift, int64_t index,
                                        const Workspace& own, Shared& shared) {
  const int64_t f = task.fixed.columns, tiles = tiles_of(row.size);
  for (int64_t i = 0; i < tiles; i++) {
    if (!solve_block_row(task, row, shift, i, own, shared)) return false;
  }
  float bias = 0;
  if (task.solved_bias) {
    const float lz = sum(row.size, shared.results, [&](int64_t k) { return own.l[k] * own.z[k]; });
    const float ll = sum(row.size, shared.results + 1, [&](int64_t k) { return own.l[k] * own.l[k]; });
    const float lambda = row.lambda + shift, beta = row.beta + shift;
    if (row.dual) {
      bias = lz / (ll + beta / lambda);
    } else {
      const float pivot = row.count + beta - ll;
      if (!(pivot > rounding * (row.count + beta))) return false;
      bias = (sum(row.count, shared.results + 2, [&](int64_t k) { return residual(task, row, k); }) - lz) / pivot;
    }
    if (threadIdx.x == 0) task.solved_bias[index] = bias;
  }
  __syncthreads();
  solve_triangle(tiles, bias, own, shared);

  for (int64_t c = threadIdx.x; c < f; c += threads) {
    float x = row.dual ? 0 : own.z[c];
    if (row.dual) {
      for (int64_t k = 0; k < row.count; k++) x += own.z[k] * task.fixed.data[row.columns[k] * f + c];
    }
    task.solved.data[index * f + c] = x;
  }
  return true;
}

// Sets the row's factors and bias, if any, to `value`.
__device__ void fill(const AlsTask& task, int64_t index, float value) {
  const int64_t f = task.fixed.columns;
  for (int64_t c = threadIdx.x; c < f; c += threads) task.solved.data[index * f + c] = value;
  if (task.solved_bias && threadIdx.x == 0) task.solved_bias[index] = value;
}

__device__ void solve_row(const AlsTask& task, int64_t index, const Workspace& own, Shared& shared) {
  const int64_t f = task.fixed.columns, begin = task.ratings.offsets[index];
  Row row = {task.ratings.offsets[index + 1] - begin, task.ratings.columns + begin, task.ratings.values + begin};
  if (row.count == 0) return fill(task, index, 0);

  const float weight = powf(row.count, task.params.regularization_power);
  row.lambda = task.params.regularization * weight;
  row.beta = task.params.bias_regularization * weight;
  row.dual = row.count < f + (row.lambda == 0 && task.solved_bias ? 1 : 0);
  row.size = row.dual ? row.count : f;
  if (!(row.dual && row.lambda == 0) && solve_with(task, row, 0, index, own, shared)) return;

  const float trace = sum(row.count * f, shared.results + 3, [&](int64_t e) {
    const float y = task.fixed.data[row.columns[e / f] * f + e % f];
    return y * y;
  });
  const float mean = trace > 0 ? trace / row.size : 1;
  for (float shift = first_shift * mean; shift < 10 * mean; shift *= 10) {
    if (solve_with(task, row, shift, index, own, shared)) return;
  }
  fill(task, index, nanf(""));  // the input is not finite
}

// workspace: the number of rows assigned so far, then `floats` floats for each block.
__global__ void __launch_bounds__(threads, 2) als_kernel(AlsTask task, float* workspace, int64_t floats) {
  __shared__ Shared shared;
  auto* taken = reinterpret_cast<unsigned long long*>(workspace);
  float* triangle = workspace + 2 + blockIdx.x * floats;
  const int64_t columns = tiles_of(task.fixed.columns) * T;
  const Workspace own = {triangle, triangle + floats - 2 * columns, triangle + floats - columns};
  for (;;) {
    __syncthreads();
    if (threadIdx.x == 0) shared.row = atomicAdd(taken, 1ull);
    __syncthreads();
    const int64_t row = shared.row;
    if (row >= task.ratings.rows) return;
    solve_row(task, row, own, shared);
  }
}

}  // namespace

void als_update_gpu(Context& context, const AlsTask& task) {
  GpuBackend& device = gpu(context);
  const int64_t tiles = tiles_of(task.fixed.columns), floats = tiles * (tiles + 1) / 2 * T * T + 2 * tiles * T;
  constexpr int64_t most_bytes = 1 << 30;  // limit of the workspace; at least one block runs
  const int64_t wanted = std::min<int64_t>(task.ratings.rows, 4 * device.multiprocessors());
  const int64_t blocks = std::clamp<int64_t>(most_bytes / (floats * 4), 1, wanted);
  auto* workspace = static_cast<float*>(context.scratch((2 + blocks * floats) * sizeof(float)));
  check(cudaMemsetAsync(workspace, 0, 8, device.stream()), "als_update");
  als_kernel<<<static_cast<int>(blocks), threads, 0, device.stream()>>>(task, workspace, floats);
  check_launch("als_update");
}

}  // namespace sartor::cuda
