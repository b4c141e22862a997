#include "core/gpu/backend.cuh"
#include "factorization/ranking/bpr.cuh"
#include "factorization/ranking/draws.h"

namespace sartor::cuda {
namespace {

constexpr int lanes = 32;

__device__ float sum_of_lanes(float value) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  return value;
}

// A cell of the grid, trained by one warp. A lane owns every 32nd factor of all rows, so that no lane reads what
// another has written. What does not depend on the factors is done for 32 pairs or 32 draws at once, a lane each.
class Cell {
 public:
  __device__ Cell(const BprTask& task, int64_t row, int64_t column)
      : task_(task),
        f_(task.users.columns),
        draws_(task.seed, row * task.blocks + column),
        order_(task.item_order + task.item_bounds[column]),
        items_(task.item_bounds[column + 1] - task.item_bounds[column]) {}

  __device__ void train(int64_t first, int64_t last) {
    if (task_.params.candidates == 1) return train_with_any(first, last);
    for (int64_t at = first; at < last; at++) {
      const int32_t user = task_.pair_users[at], negative = hardest(user);
      if (negative >= 0) step(user, task_.pair_items[at], negative);
      __syncwarp();  // lane 0 has written the biases
    }
  }

 private:
  __device__ float* user_row(int32_t user) const { return task_.users.data + user * f_; }
  __device__ float* item_row(int32_t item) const { return task_.items.data + item * f_; }

  // Each lane's draw of the next 32.
  __device__ int32_t draw_of_lane() const {
    Draws draws = draws_;
    draws.skip(threadIdx.x);
    return order_[draws.below(items_)];
  }

  // With one candidate. Each lane tests a draw for a pair, as if all draws before it had been good; pairs are trained
  // up to the first draw that is not, after which the next one is tested for the same pair.
  __device__ void train_with_any(int64_t first, int64_t last) {
    int tries = 0;  // of pair `first`
    while (first < last) {
      const int size = static_cast<int>(min(int64_t{lanes}, last - first)), lane = threadIdx.x;
      const bool valid = lane < size;
      const int32_t user = valid ? task_.pair_users[first + lane] : 0, drawn = draw_of_lane();
      const int32_t positive = valid ? task_.pair_items[first + lane] : 0;
      const unsigned bad = __ballot_sync(~0u, valid && contains(task_.chosen, user, drawn));
      const int good = bad ? __ffs(static_cast<int>(bad)) - 1 : size;
      for (int i = 0; i < good; i++) {
        step(__shfl_sync(~0u, user, i), __shfl_sync(~0u, positive, i), __shfl_sync(~0u, drawn, i));
        __syncwarp();  // lane 0 has written the biases
      }
      draws_.skip(good + (bad != 0));
      tries = (good == 0 ? tries : 0) + (bad != 0);
      first += good;
      if (tries == bpr_tries) {
        tries = 0;
        first++;
      }
    }
  }

  __device__ int32_t hardest(int32_t user) {
    const float* x = user_row(user);
    const int some = static_cast<int>(min(int64_t{lanes}, task_.params.candidates + 2));
    Tested tested = {0, 0, some, some};
    int32_t best = -1;
    float most = 0;
    for (int64_t candidate = 0; candidate < task_.params.candidates; candidate++) {
      const int32_t drawn = draw_unchosen(user, tested);
      if (drawn < 0) continue;
      const float* y = item_row(drawn);
      float products = 0;
      for (int64_t at = threadIdx.x; at < f_; at += lanes) products += x[at] * y[at];
      const float score = sum_of_lanes(products) + task_.item_bias[drawn];
      if (best < 0 || score > most) {
        best = drawn;
        most = score;
      }
    }
    draws_.skip(tested.used - some);  // the others are left for the next pair
    return best;
  }

  // Some draws, a lane each, of which the first `used` have been taken. `good`: those of items that the user has not
  // chosen.
  struct Tested {
    int32_t drawn;
    unsigned good;
    int used, size;
  };

  __device__ int32_t draw_unchosen(int32_t user, Tested& tested) {
    for (int tries = 0; tries < bpr_tries; tries++) {
      if (tested.used == tested.size) {
        tested.drawn = draw_of_lane();
        const bool valid = static_cast<int>(threadIdx.x) < tested.size;
        tested.good = __ballot_sync(~0u, valid && !contains(task_.chosen, user, tested.drawn));
        tested.used = 0;
        draws_.skip(tested.size);
      }
      const int at = tested.used++;
      if (tested.good >> at & 1) return __shfl_sync(~0u, tested.drawn, at);
    }
    return -1;
  }

  __device__ void step(int32_t user, int32_t positive, int32_t negative) const {
    float *x = user_row(user), *y = item_row(positive), *z = item_row(negative);
    const float b = task_.item_bias[positive], c = task_.item_bias[negative];
    float products = 0;
    for (int64_t at = threadIdx.x; at < f_; at += lanes) products += x[at] * (y[at] - z[at]);
    const float slope = 1 / (1 + expf(sum_of_lanes(products) + b - c));
    const float rate = task_.params.learning_rate, kept = 1 - rate * task_.params.regularization, scale = rate * slope;
    for (int64_t at = threadIdx.x; at < f_; at += lanes) {
      const float old = x[at], of_y = y[at], of_z = z[at];
      x[at] = kept * old + scale * (of_y - of_z);
      y[at] = kept * of_y + scale * old;
      z[at] = kept * of_z - scale * old;
    }
    __syncwarp();  // all lanes have read the biases
    if (threadIdx.x == 0) {
      task_.item_bias[positive] = kept * b + scale;
      task_.item_bias[negative] = kept * c - scale;
    }
  }

  const BprTask& task_;
  int64_t f_;
  Draws draws_;
  const int32_t* order_;  // the items of the column
  int64_t items_;
};

// One diagonal of the grid, a warp per cell. The cells share neither users nor items.
__global__ void __launch_bounds__(lanes) bpr_kernel(const BprTask task, int64_t diagonal) {
  const int64_t row = task.first_row + blockIdx.x, column = (row + diagonal) % task.blocks,
                cell = row * task.blocks + column;
  Cell(task, row, column).train(task.cells[cell], task.cells[cell + 1]);
}

}  // namespace

void bpr_epoch_gpu(Context& context, const BprTask& task) {
  const cudaStream_t stream = gpu(context).stream();
  const auto rows = static_cast<unsigned>(task.last_row - task.first_row);
  for (int64_t diagonal = task.first_diagonal; diagonal < task.last_diagonal && rows > 0; diagonal++) {
    bpr_kernel<<<rows, lanes, 0, stream>>>(task, diagonal);
    check_launch("bpr_epoch");
  }
}

}  // namespace sartor::cuda
