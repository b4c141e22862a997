// Blocks of factors, one after the other, for many rows at once (block), or all factors (cholesky). The system of a row
// and a block is solved as that of explicit ALS, with weights and a0 G.
#include <vector>

#include "factorization/implicit/implicit.cuh"
#include "factorization/implicit/implicit_plan.h"
#include "factorization/implicit/implicit_rows.cuh"
#include "factorization/systems/row_systems.cuh"

namespace sartor::cuda {
namespace {

// A block of factors of rows from first_row on; see row_systems.cuh. The unknowns are the changes of x, or x itself
// without `changes`.
struct BlockProblem : ImplicitRows {
  static constexpr bool weighted = true, may_be_biased = false, has_dual = false, drawn = false;

  int64_t first, size;  // factors
  int64_t first_row;
  float* changes;            // (rows, size): the block's elements of G x before, the changes of x afterwards
  const float* predictions;  // <x, y> of the rows' entries
  const float* y;            // the block's first factor of `fixed`
  bool y_aligned;

  BlockProblem(const ImplicitTask& task, int64_t first, int64_t size, int64_t first_row, float* changes,
               const float* predictions)
      : ImplicitRows{task},
        first(first),
        size(size),
        first_row(first_row),
        changes(changes),
        predictions(predictions),
        y(task.fixed.data + first),
        y_aligned(size % 4 == 0 && aligned_rows(y, task.fixed.columns)) {}
  BlockProblem() = default;  // in shared memory

  __host__ __device__ int64_t unknowns() const { return size; }
  __device__ AlsEquations equations(int64_t index) const { return ImplicitRows::equations(index, size); }
  __device__ AlsRow row(int64_t index) const { return ImplicitRows::row(index, size); }

  __device__ const float* features() const { return y; }
  __device__ int64_t stride() const { return factors(); }
  __device__ bool aligned() const { return y_aligned; }

  __device__ bool has_second() const { return predictions; }
  __device__ const float* second(const AlsRow& row, int64_t entry, int32_t) const {
    return predictions ? predictions + (row.values - task.entries.values) + entry : nullptr;
  }
  __device__ Term term(float value, float prediction) const {
    const auto weight = implicit_weight(task.params, value);
    return {sqrtf(weight.square), weight.target - weight.square * prediction};
  }
  __device__ float start(int64_t i, int64_t j) const {
    return task.params.unobserved_weight * task.gram[(first + i) * factors() + first + j];
  }
  __device__ float right_side(const AlsRow& row, int64_t index, int64_t i) const {
    if (!changes) return 0;
    return -(task.params.unobserved_weight * change(index, i) + row.lambda * x(index, i));
  }

  __device__ void write(int64_t index, int64_t i, float value) const {
    if (!changes) return fill(index, i, value);
    x(index, i) += value;
    change(index, i) = value;
  }
  __device__ void fill(int64_t index, int64_t i, float value) const {
    x(index, i) = value;
    if (changes) change(index, i) = value;
  }
  __device__ void write_bias(int64_t, float) const {}

 private:
  __device__ float& x(int64_t index, int64_t i) const { return solved(index)[first + i]; }
  __device__ float& change(int64_t index, int64_t i) const { return changes[(index - first_row) * size + i]; }
};

// ---- predictions ----

constexpr int64_t entries_per_warp = 256;
constexpr int prediction_threads = 256;

// The row in [low, high] that has an entry.
__device__ int64_t row_of(const int64_t* offsets, int64_t entry, int64_t low, int64_t high) {
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (offsets[middle] <= entry) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// Factors first to first + size - 1 of v, of which row first_row is the first.
struct PredictionTask {
  ImplicitRows rows;
  const float* v;
  int64_t v_stride, first_row, last_row;
  int64_t first, size;
  float* predictions;  // of all entries
  bool add;            // to what they are
};

// predictions (+)= <v_r, y_c> of the entries of rows first_row to last_row - 1, whatever their lengths: eight lanes per
// entry.
__global__ void __launch_bounds__(prediction_threads) predict(PredictionTask task) {
  constexpr int lanes = 8;
  const auto& entries = task.rows.task.entries;
  const int64_t f = task.rows.factors(), warp = (int64_t{blockIdx.x} * prediction_threads + threadIdx.x) / 32;
  const int64_t begin = entries.offsets[task.first_row] + warp * entries_per_warp;
  const int64_t end = min(begin + entries_per_warp, entries.offsets[task.last_row]);
  if (begin >= end) return;
  const int64_t low = row_of(entries.offsets, begin, task.first_row, task.last_row - 1);
  const int64_t high = row_of(entries.offsets, end - 1, low, task.last_row - 1);
  const float* features = task.rows.task.fixed.data + task.first;
  const bool aligned = task.size % 4 == 0 && aligned_rows(features, f) && aligned_rows(task.v, task.v_stride);
  for (int64_t some = begin; some < end; some += 32 / lanes) {
    const int64_t entry = min(some + threadIdx.x % 32 / lanes, end - 1);
    const int64_t row = row_of(entries.offsets, entry, low, high);
    const float *y = features + entries.columns[entry] * f, *v = task.v + (row - task.first_row) * task.v_stride;
    float product = 0;
    for (int64_t at = threadIdx.x % lanes * 4; at < task.size; at += 4 * lanes) {
      product = dot(load_four(y, at, task.size, aligned), load_four(v, at, task.size, aligned), product);
    }
    product = sum_of_lanes<lanes>(product);
    if (threadIdx.x % lanes == 0 && some + threadIdx.x % 32 / lanes < end) {
      task.predictions[entry] = task.add ? task.predictions[entry] + product : product;
    }
  }
}

void predict_gpu(const GpuBackend& device, const PredictionTask& task, int64_t entries) {
  if (entries == 0) return;
  const int64_t per_block = entries_per_warp * prediction_threads / 32;
  predict<<<static_cast<unsigned>((entries + per_block - 1) / per_block), prediction_threads, 0, device.stream()>>>(
      task);
  check_launch("implicit_update");
}

// ---- passes ----

// Solves rows `begin` to end - 1 block by block. entries: their number; memory: of solve_systems().
struct BlockPass {
  Context& context;
  const ImplicitTask& task;
  int64_t begin, end, entries;
  float *changes, *predictions;
  char* memory;

  void solve() const {
    GpuBackend& device = gpu(context);
    const int64_t f = task.fixed.columns, size = std::min(task.params.block, f);
    float* x = task.solved.data + begin * f;
    predict_gpu(device, {{task}, x, f, begin, end, 0, f, predictions, false}, entries);
    for (int64_t first = 0; first < f; first += size) {
      const int64_t some = std::min(size, f - first);
      multiply_gpu(context, task, x, end - begin, first, some, changes);
      solve_systems(device, BlockProblem(task, first, some, begin, changes, predictions), begin, end - begin, memory,
                    "implicit_update");
      if (first + some == f) return;
      predict_gpu(device, {{task}, changes, some, begin, end, first, some, predictions, true}, entries);
    }
  }
};

void solve_exactly(Context& context, const ImplicitTask& task) {
  GpuBackend& device = gpu(context);
  const int64_t rows = task.entries.rows, f = task.fixed.columns;
  auto* memory = static_cast<char*>(context.scratch(systems_bytes(device, rows, f)));
  solve_systems(device, BlockProblem(task, 0, f, 0, nullptr, nullptr), 0, rows, memory, "implicit_update");
}

}  // namespace

void update_by_blocks_gpu(Context& context, const ImplicitTask& task) {
  if (task.params.solver == ImplicitSolver::cholesky) return solve_exactly(context, task);
  const int64_t all = task.entries.rows, f = task.fixed.columns, size = std::min(task.params.block, f);
  const int64_t rows = implicit_rows_per_pass(all, size);
  // The numbers of entries are read back, as they decide how much memory the predictions need.
  std::vector<int64_t> begins;
  int64_t most_entries = 0;
  for (int64_t row = 0; row < all + rows; row += rows) {
    int64_t offset = 0;
    context.backend().copy_out(&offset, task.entries.offsets + std::min(row, all), sizeof offset);
    if (!begins.empty()) most_entries = std::max(most_entries, offset - begins.back());
    begins.push_back(offset);
  }
  const int64_t last = (f - 1) % size + 1;  // factors of the last block
  const size_t system_bytes =
      std::max(systems_bytes(gpu(context), rows, size), systems_bytes(gpu(context), rows, last));
  float *changes = nullptr, *predictions = nullptr;
  char* memory = nullptr;
  const auto divide = [&](char* whole) {
    Arrays arrays(whole);
    arrays.place(changes, rows * size);
    arrays.place(predictions, most_entries);
    arrays.place(memory, static_cast<int64_t>(system_bytes));
    return arrays.bytes();
  };
  divide(static_cast<char*>(context.scratch(divide(nullptr))));
  for (int64_t begin = 0, pass = 0; begin < all; begin += rows, pass++) {
    const int64_t end = std::min(begin + rows, all), entries = begins[pass + 1] - begins[pass];
    BlockPass{context, task, begin, end, entries, changes, predictions - begins[pass], memory}.solve();
  }
}

}  // namespace sartor::cuda
