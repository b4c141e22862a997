// A warp trains on a cell, one rating after the other; a launch is a round. A lane has every 32nd column of both rows.
#include "factorization/sgd/sgd.cuh"

#include <numeric>
#include <vector>

#include "core/gpu/backend.cuh"
#include "factorization/sgd/sgd_equations.h"

namespace sartor::cuda {
namespace {

constexpr int lanes = 32, warps = 4;      // warps per block
constexpr int64_t most_in_registers = 8;  // columns per lane

// Scratch memory on the device.
struct Workspace {
  int64_t* cells;  // as in SgdGrid
  double* errors;  // (blocks) squared errors of the users of a block

  static size_t bytes(int64_t blocks) { return (blocks * blocks + 1 + blocks) * sizeof(double); }
  Workspace(void* memory, int64_t blocks)
      : cells(static_cast<int64_t*>(memory)), errors(reinterpret_cast<double*>(cells + blocks * blocks + 1)) {}
};

__device__ float warp_sum(float value) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  return value;
}

// A rating and the weights of its rows.
struct Entry {
  SgdRating rating;
  float user_weight, item_weight;
};

// Each lane loads an entry, so that a warp fetches 32 of them at once and ahead of the rows.
__device__ Entry load_entry(const SgdTask& task, int64_t at, int64_t end) {
  if (at >= end) return {};
  const SgdRating rating = task.grid.ratings[at];
  return {rating, task.users.weights[rating.user], task.items.weights[rating.item]};
}
__device__ Entry entry_of_lane(const Entry& own, int lane) {
  const auto from = [lane](auto value) { return __shfl_sync(~0u, value, lane); };
  return {{from(own.rating.user), from(own.rating.item), from(own.rating.value)},
          from(own.user_weight),
          from(own.item_weight)};
}

// A row, and what its update depends on.
template <bool adagrad> struct Row {
  float* x;
  float* squares;
  float weight, eta;
  int bias;

  __device__ Row(const SgdSide& side, int64_t index, float weight, float learning_rate, int bias)
      : x(side.rows.data + index * side.rows.columns),
        squares(side.squares + (adagrad ? index : 0)),
        weight(weight),
        eta(adagrad ? learning_rate / sqrtf(1 + *squares) : learning_rate),
        bias(bias) {}

  // rho g of a column
  __device__ float gradient(const SgdParams& params, int64_t column, float error, float other, float own) const {
    const SgdColumn constants = sgd_column(params, bias, column);
    return constants.rate * sgd_gradient(error, other, weight * constants.regularization, own);
  }
  __device__ void add_squares(float sum, float share) const {
    const float total = warp_sum(sum);
    if (threadIdx.x % lanes == 0) *squares += share * total;
  }
};

// The columns of a lane, in registers if their number is a constant `count` > 0.
template <int count> struct Columns {
  int64_t columns;

  template <class Body> __device__ void each(const Body& body) const {
    const int first = threadIdx.x % lanes;
    if constexpr (count > 0) {
#pragma unroll
      for (int j = 0; j < count; j++) {
        if (first + j * lanes < columns) body(j, first + j * lanes);
      }
    } else {
      for (int64_t column = first; column < columns; column += lanes) body(0, column);
    }
  }
};

// Returns the squared error.
template <bool adagrad, int count> __device__ float train(const SgdTask& task, const Entry& entry) {
  const SgdParams& params = task.params;
  const Row<adagrad> user(task.users, entry.rating.user, entry.user_weight, params.learning_rate, 0);
  const Row<adagrad> item(task.items, entry.rating.item, entry.item_weight, params.learning_rate, 1);
  const Columns<count> own = {task.users.rows.columns};
  float x[count > 0 ? count : 1], y[count > 0 ? count : 1], sum = 0;
  own.each([&](int j, int64_t column) {
    x[j] = user.x[column];
    y[j] = item.x[column];
    sum += x[j] * y[j];
  });
  const float error = entry.rating.value - warp_sum(sum);
  float user_squares = 0, item_squares = 0;
  own.each([&](int j, int64_t column) {
    if (count == 0) {
      x[j] = user.x[column];
      y[j] = item.x[column];
    }
    const float gx = user.gradient(params, column, error, y[j], x[j]);
    const float gy = item.gradient(params, column, error, x[j], y[j]);
    user.x[column] = x[j] + user.eta * gx;
    item.x[column] = y[j] + item.eta * gy;
    user_squares += gx * gx;
    item_squares += gy * gy;
  });
  if constexpr (adagrad) {
    const float share = 1 / static_cast<float>(task.factors);
    __syncwarp();  // all lanes have read the sums
    user.add_squares(user_squares, share);
    item.add_squares(item_squares, share);
    __syncwarp();
  }
  return error * error;
}

template <bool adagrad, int count> __global__ void __launch_bounds__(lanes* warps)
    train_round(SgdTask task, Workspace workspace, int64_t round) {
  const int64_t users = task.first_users + blockIdx.x * warps + threadIdx.x / lanes;
  if (users >= task.last_users) return;
  const int64_t cell = users * task.grid.blocks + (users + round) % task.grid.blocks;
  const int64_t end = workspace.cells[cell + 1];
  const int lane = threadIdx.x % lanes;
  double squares = 0;
  for (int64_t first = workspace.cells[cell]; first < end; first += lanes) {
    const Entry own = load_entry(task, first + lane, end);
    const int size = static_cast<int>(min(int64_t{lanes}, end - first));
    for (int i = 0; i < size; i++) squares += train<adagrad, count>(task, entry_of_lane(own, i));
  }
  if (lane == 0) workspace.errors[users] += squares;
}

using Kernel = void (*)(SgdTask, Workspace, int64_t);

template <bool adagrad> Kernel kernel_for(int64_t columns) {
  constexpr Kernel by_count[] = {train_round<adagrad, 0>, train_round<adagrad, 1>, train_round<adagrad, 2>,
                                 train_round<adagrad, 3>, train_round<adagrad, 4>, train_round<adagrad, 5>,
                                 train_round<adagrad, 6>, train_round<adagrad, 7>, train_round<adagrad, 8>};
  const int64_t count = (columns + lanes - 1) / lanes;
  return by_count[count <= most_in_registers ? count : 0];
}

}  // namespace

void sgd_rounds_gpu(Context& context, const SgdTask& task) {
  GpuBackend& device = gpu(context);
  const int64_t blocks = task.grid.blocks, users = task.last_users - task.first_users;
  if (users == 0) return;
  const Workspace workspace(context.scratch(Workspace::bytes(blocks)), blocks);
  device.copy_in(workspace.cells, task.grid.cells, (blocks * blocks + 1) * sizeof(int64_t));
  device.fill_zero(workspace.errors, blocks * sizeof(double));
  const int64_t columns = task.users.rows.columns;
  const Kernel kernel = task.users.squares ? kernel_for<true>(columns) : kernel_for<false>(columns);
  const auto grid = static_cast<unsigned>((users + warps - 1) / warps);
  for (int64_t round = task.first_round; round < task.last_round; round++) {
    kernel<<<grid, lanes * warps, 0, device.stream()>>>(task, workspace, round);
    check_launch("sgd_rounds");
  }
  std::vector<double> errors(blocks);
  device.copy_out(errors.data(), workspace.errors, blocks * sizeof(double));
  *task.squared_error = std::accumulate(errors.begin(), errors.end(), 0.0);
}

}  // namespace sartor::cuda
