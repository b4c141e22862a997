#include <vector>

#include "core/device_buffer.h"
#include "core/gpu/backend.cuh"
#include "factorization/ranking/contrastive.cuh"
#include "factorization/ranking/contrastive_plan.h"
#include "factorization/ranking/draws.h"

namespace sartor::cuda {
namespace {

constexpr int lanes = 32, threads = 128, warps = threads / lanes;
constexpr float shortest = 1e-12f;

__device__ int lane() { return static_cast<int>(threadIdx.x % lanes); }
__device__ int64_t warp_index() { return int64_t{blockIdx.x} * warps + threadIdx.x / lanes; }

// Rows of f floats; a lane owns every 32nd element of all of them, so that no lane reads what another has written.
template <class Use> __device__ void for_own(int64_t f, Use use) {
  for (int64_t at = lane(); at < f; at += lanes) use(at);
}
__device__ float sum_of_lanes(float value) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  return value;
}
__device__ float dot(const float* x, const float* y, int64_t f) {
  float products = 0;
  for_own(f, [&](int64_t at) { products += x[at] * y[at]; });
  return sum_of_lanes(products);
}
__device__ void add(float weight, const float* from, int64_t f, float* to) {
  for_own(f, [&](int64_t at) { to[at] += weight * from[at]; });
}
// Numbers first, first + 32, ... of a sum of rows, in registers.
template <int held, class Visit> __device__ void sum_some(int64_t first, int64_t f, float* to, const Visit& visit) {
  float sums[held] = {};
  visit([&](float weight, const float* row) {
#pragma unroll
    for (int j = 0; j < held; j++) {
      if (first + j * lanes < f) sums[j] += weight * row[first + j * lanes];
    }
  });
#pragma unroll
  for (int j = 0; j < held; j++) {
    if (first + j * lanes < f) to[first + j * lanes] = sums[j];
  }
}

// to = sum of weight * row over all that `visit` passes to its argument: visit(add), add(weight, row). Called by all
// lanes, and calls visit(add) for every 128 factors.
template <class Visit> __device__ void sum_rows(int64_t f, float* to, const Visit& visit) {
  int64_t tile = 0;
  for (; f - tile > 2 * lanes; tile += 4 * lanes) sum_some<4>(tile + lane(), f, to, visit);
  if (f - tile > lanes) {
    sum_some<2>(tile + lane(), f, to, visit);
  } else if (f > tile) {
    sum_some<1>(tile + lane(), f, to, visit);
  }
}
__device__ void scale(float factor, int64_t f, float* row) {
  for_own(f, [&](int64_t at) { row[at] *= factor; });
}
__device__ void project(const float* unit, int64_t f, float* gradient) {
  add(-dot(gradient, unit, f), unit, f, gradient);
}

// A step of AdaGrad on the sphere.
__device__ void move(float rate, int64_t f, float* gradient, float* squares, float* row) {
  project(row, f, gradient);
  const float sum = *squares + dot(gradient, gradient, f);
  __syncwarp();  // all lanes have read it
  if (lane() == 0) *squares = sum;
  if (!(sum > 0)) return;
  add(-rate / sqrtf(sum), gradient, f, row);
  scale(1 / sqrtf(dot(row, row, f)), f, row);
}

// The users of a batch and their rows of scratch memory.
struct Batch {
  const int32_t* users;
  int64_t size;
  float *sums, *directions, *shares, *gradients;  // (size, f)
  float* lengths;                                 // (size) |p|
  float* weights;                                 // (size) of the negatives of a user
  const int32_t* negatives;                       // (N)
  float* rows;                                    // (N, f) of the negatives
  float* scores;                                  // (size, N)
  unsigned* counting;                             // (N / 32, size) bits of the negatives that count for a user
  const ItemVisit* visits;
  int64_t visit_count;
  const int32_t* slots;
  float* item_gradients;  // (visit_count, f)
};

// Returns |p|.
__device__ float represent(const ContrastiveUsersTask& task, int64_t user, float* sum, float* direction) {
  const int64_t f = task.items.columns, first = task.chosen.offsets[user], last = task.chosen.offsets[user + 1];
  const bool own = task.users.data != nullptr;
  const float of_history = own ? task.history_weight : 1.0f;
  sum_rows(f, sum, [&](auto add) {
#pragma unroll 4
    for (int64_t at = first; at < last; at++) add(1, task.items.data + task.chosen.ids[at] * f);
  });
  sum_rows(f, direction, [&](auto add) {
    if (first == last) return;
    add(of_history / static_cast<float>(last - first), sum);
    if (own) add(1 - of_history, task.users.data + user * f);
  });
  const float length = sqrtf(dot(direction, direction, f));
  scale(1 / fmaxf(length, shortest), f, direction);
  return length;
}

// A warp per user of the batch.
__global__ void __launch_bounds__(threads) represent_kernel(const ContrastiveUsersTask task, const Batch batch) {
  const int64_t slot = warp_index(), f = task.items.columns;
  if (slot >= batch.size) return;
  const float length = represent(task, batch.users[slot], batch.sums + slot * f, batch.directions + slot * f);
  if (lane() == 0) batch.lengths[slot] = length;
}

// A warp per user. `sums` (U, f) is scratch memory.
__global__ void __launch_bounds__(threads) users_kernel(const ContrastiveUsersTask task, float* sums) {
  const int64_t user = warp_index(), f = task.items.columns;
  if (user < task.vectors.rows) represent(task, user, sums + user * f, task.vectors.data + user * f);
}

// A warp per negative.
__global__ void __launch_bounds__(threads) gather_kernel(Rows<const float> items, const Batch batch, int64_t count) {
  const int64_t place = warp_index(), f = items.columns;
  if (place >= count) return;
  const float* from = items.data + batch.negatives[place] * f;
  for_own(f, [&](int64_t at) { batch.rows[place * f + at] = from[at]; });
}

__device__ float negative_weight(const ContrastiveTask& task, int64_t user) {
  const auto n = static_cast<float>(task.chosen.offsets[user + 1] - task.chosen.offsets[user]);
  return n * task.params.negative_weight / static_cast<float>(task.params.negatives);
}

__host__ __device__ int64_t words_of(int64_t negatives) { return (negatives + lanes - 1) / lanes; }

template <class Use> __device__ void for_bits(unsigned bits, Use use) {
  for (; bits != 0; bits &= bits - 1) use(__ffs(static_cast<int>(bits)) - 1);
}

// Finds the negatives that count for a user of the batch.
__device__ void find_counting(const ContrastiveTask& task, const Batch& batch, int64_t slot, int64_t user) {
  const int64_t count = task.params.negatives;
  const float* scores = batch.scores + slot * count;
  for (int64_t word = 0; word < words_of(count); word++) {
    const int64_t place = word * lanes + lane();
    const bool counts =
        place < count && scores[place] > task.params.margin && !contains(task.chosen, user, batch.negatives[place]);
    const unsigned bits = __ballot_sync(~0u, counts);
    if (lane() == 0) batch.counting[word * batch.size + slot] = bits;
  }
  __syncwarp();  // lane 0 has written
}

// A warp per user of the batch.
__global__ void __launch_bounds__(threads) update_users_kernel(const ContrastiveTask task, const Batch batch) {
  const int64_t slot = warp_index(), f = task.items.columns;
  if (slot >= batch.size) return;
  const int64_t user = batch.users[slot];
  float *gradient = batch.gradients + slot * f, *share = batch.shares + slot * f;
  const float *direction = batch.directions + slot * f, *sum = batch.sums + slot * f;
  const float h = task.params.history_weight, weight = negative_weight(task, user);
  if (lane() == 0) batch.weights[slot] = weight;
  find_counting(task, batch, slot, user);
  sum_rows(f, gradient, [&](auto add) {
    for (int64_t word = 0; word < words_of(task.params.negatives); word++) {
      for_bits(batch.counting[word * batch.size + slot],
               [&](int bit) { add(weight, batch.rows + (word * lanes + bit) * f); });
    }
    add(-1, sum);  // with respect to x
  });
  project(direction, f, gradient);
  scale(1 / fmaxf(batch.lengths[slot], shortest), f, gradient);  // with respect to p
  const auto n = static_cast<float>(task.chosen.offsets[user + 1] - task.chosen.offsets[user]);
  for_own(f, [&](int64_t at) { share[at] = h / n * gradient[at] - direction[at]; });
  scale(1 - h, f, gradient);
  move(task.params.learning_rate, f, gradient, task.user_squares + user, task.users.data + user * f);
}

// A warp per item.
__global__ void __launch_bounds__(threads) update_items_kernel(const ContrastiveTask task, const Batch batch) {
  const int64_t index = warp_index(), f = task.items.columns;
  if (index >= batch.visit_count) return;
  const ItemVisit visit = batch.visits[index];
  float* gradient = batch.item_gradients + index * f;
  sum_rows(f, gradient, [&](auto add) {
#pragma unroll 4
    for (int32_t at = visit.first_slot; at < visit.last_slot; at++) add(1, batch.shares + batch.slots[at] * f);
    for (int32_t place = visit.first_negative; place < visit.last_negative; place++) {
      const unsigned* words = batch.counting + place / lanes * batch.size;
      for (int64_t first = 0; first < batch.size; first += lanes) {
        const int64_t own = first + lane();
        const bool counts = own < batch.size && (words[own] >> place % lanes & 1) != 0;
        const float weight = own < batch.size ? batch.weights[own] : 0;
        for_bits(__ballot_sync(~0u, counts),
                 [&](int bit) { add(__shfl_sync(~0u, weight, bit), batch.directions + (first + bit) * f); });
      }
    }
  });
  move(task.params.learning_rate, f, gradient, task.item_squares + visit.item, task.items.data + visit.item * f);
}

unsigned blocks_of(int64_t warp_count) { return static_cast<unsigned>((warp_count + warps - 1) / warps); }

void multiply(GpuBackend& backend, const ContrastiveTask& task, const Batch& batch) {
  const int f = static_cast<int>(task.items.columns), count = static_cast<int>(task.params.negatives);
  const float one = 1, zero = 0;
  check(cublasGemmEx(backend.cublas(), CUBLAS_OP_T, CUBLAS_OP_N, count, static_cast<int>(batch.size), f, &one,
                     batch.rows, CUDA_R_32F, f, batch.directions, CUDA_R_32F, f, &zero, batch.scores, CUDA_R_32F, count,
                     CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        "contrastive_epoch: products");
}

void train(GpuBackend& backend, const ContrastiveTask& task, const Batch& batch) {
  const cudaStream_t stream = backend.stream();
  const ContrastiveUsersTask users = {task.chosen, task.users, task.items, task.params.history_weight, {}};
  represent_kernel<<<blocks_of(batch.size), threads, 0, stream>>>(users, batch);
  check_launch("contrastive_epoch: users");
  gather_kernel<<<blocks_of(task.params.negatives), threads, 0, stream>>>(task.items, batch, task.params.negatives);
  check_launch("contrastive_epoch: negatives");
  multiply(backend, task, batch);
  update_users_kernel<<<blocks_of(batch.size), threads, 0, stream>>>(task, batch);
  check_launch("contrastive_epoch: gradients of users");
  update_items_kernel<<<blocks_of(batch.visit_count), threads, 0, stream>>>(task, batch);
  check_launch("contrastive_epoch: gradients of items");
}

// The lists in host memory.
struct HostLists {
  std::vector<int64_t> offsets;
  std::vector<int32_t> ids;

  HostLists(Backend& backend, const IdLists& lists) : offsets(lists.rows + 1) {
    backend.copy_out(offsets.data(), lists.offsets, offsets.size() * sizeof(int64_t));
    ids.resize(offsets.back());
    if (!ids.empty()) backend.copy_out(ids.data(), lists.ids, ids.size() * sizeof(int32_t));
  }
  IdLists view() const { return {std::ssize(offsets) - 1, offsets.data(), ids.data()}; }
};

// Writes to a buffer, which grows if it is too small.
template <class T> void write(Context& context, const std::vector<T>& values, DeviceBuffer<T>& buffer) {
  if (buffer.size() < std::ssize(values)) buffer = DeviceBuffer<T>(context, 2 * std::ssize(values));
  buffer.write(values);
}

}  // namespace

void contrastive_epoch_gpu(Context& context, const ContrastiveTask& task) {
  GpuBackend& backend = gpu(context);
  const HostLists chosen(backend, task.chosen);
  const auto users = shuffled_users(chosen.view(), task.seed);
  const int64_t f = task.items.columns, count = task.params.negatives;
  const int64_t most = std::min<int64_t>(task.params.batch, std::ssize(users));
  const DeviceBuffer<int32_t> all_users(context, std::span(users));
  const DeviceBuffer<float> vectors(context, 4 * most * f), lengths(context, 2 * most), rows(context, count * f);
  const DeviceBuffer<float> scores(context, most * count);
  const DeviceBuffer<unsigned> counting(context, words_of(count) * most);
  DeviceBuffer<int32_t> negatives(context, count), slots;
  DeviceBuffer<ItemVisit> visits;
  DeviceBuffer<float> gradients;
  for (int64_t first = 0, number = 1; first < std::ssize(users); first += most, number++) {
    const int64_t size = std::min(most, std::ssize(users) - first);
    const ContrastiveBatch plan(task, chosen.view(), std::span(users).subspan(first, size), number);
    write(context, plan.negatives, negatives);
    write(context, plan.slots, slots);
    write(context, plan.visits, visits);
    if (gradients.size() < visits.size() * f) gradients = DeviceBuffer<float>(context, visits.size() * f);
    const auto part = [&](int64_t index) { return vectors.data() + index * most * f; };
    train(backend, task,
          {.users = all_users.data() + first,
           .size = size,
           .sums = part(0),
           .directions = part(1),
           .shares = part(2),
           .gradients = part(3),
           .lengths = lengths.data(),
           .weights = lengths.data() + most,
           .negatives = negatives.data(),
           .rows = rows.data(),
           .scores = scores.data(),
           .counting = counting.data(),
           .visits = visits.data(),
           .visit_count = std::ssize(plan.visits),
           .slots = slots.data(),
           .item_gradients = gradients.data()});
  }
}

void contrastive_users_gpu(Context& context, const ContrastiveUsersTask& task) {
  const cudaStream_t stream = gpu(context).stream();
  auto* sums = static_cast<float*>(context.scratch(task.vectors.rows * task.vectors.columns * sizeof(float)));
  users_kernel<<<blocks_of(task.vectors.rows), threads, 0, stream>>>(task, sums);
  check_launch("contrastive_users");
}

}  // namespace sartor::cuda
