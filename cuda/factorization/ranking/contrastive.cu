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
__device__ void fill_zero(int64_t f, float* row) {
  for_own(f, [&](int64_t at) { row[at] = 0; });
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
  float* lengths;                                 // (size)
  const int32_t* negatives;                       // (N)
  float* rows;                                    // (N, f) of the negatives
  float* scores;                                  // (size, N), then 1 for negatives that count and 0 for others
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
  fill_zero(f, sum);
  for (int64_t at = first; at < last; at++) add(1, task.items.data + task.chosen.ids[at] * f, f, sum);
  fill_zero(f, direction);
  if (first < last) add(of_history / static_cast<float>(last - first), sum, f, direction);
  if (first < last && own) add(1 - of_history, task.users.data + user * f, f, direction);
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

// A warp per user of the batch.
__global__ void __launch_bounds__(threads) update_users_kernel(const ContrastiveTask task, const Batch batch) {
  const int64_t slot = warp_index(), f = task.items.columns, count = task.params.negatives;
  if (slot >= batch.size) return;
  const int64_t user = batch.users[slot];
  float *gradient = batch.gradients + slot * f, *share = batch.shares + slot * f, *scores = batch.scores + slot * count;
  const float *direction = batch.directions + slot * f, *sum = batch.sums + slot * f;
  const float h = task.params.history_weight, weight = negative_weight(task, user);
  fill_zero(f, gradient);
  for (int64_t first = 0; first < count; first += lanes) {
    const int64_t place = first + lane();
    const bool counts =
        place < count && scores[place] > task.params.margin && !contains(task.chosen, user, batch.negatives[place]);
    if (place < count) scores[place] = counts ? 1.0f : 0.0f;
    for (unsigned left = __ballot_sync(~0u, counts); left != 0; left &= left - 1) {
      add(weight, batch.rows + (first + __ffs(static_cast<int>(left)) - 1) * f, f, gradient);
    }
  }
  add(-1, sum, f, gradient);  // with respect to x
  project(direction, f, gradient);
  scale(1 / fmaxf(batch.lengths[slot], shortest), f, gradient);  // with respect to p
  const auto n = static_cast<float>(task.chosen.offsets[user + 1] - task.chosen.offsets[user]);
  for_own(f, [&](int64_t at) { share[at] = h / n * gradient[at] - direction[at]; });
  scale(1 - h, f, gradient);
  move(task.params.learning_rate, f, gradient, task.user_squares + user, task.users.data + user * f);
}

// A warp per item.
__global__ void __launch_bounds__(threads) update_items_kernel(const ContrastiveTask task, const Batch batch) {
  const int64_t index = warp_index(), f = task.items.columns, count = task.params.negatives;
  if (index >= batch.visit_count) return;
  const ItemVisit visit = batch.visits[index];
  float* gradient = batch.item_gradients + index * f;
  fill_zero(f, gradient);
  for (int32_t at = visit.first_slot; at < visit.last_slot; at++)
    add(1, batch.shares + batch.slots[at] * f, f, gradient);
  for (int32_t place = visit.first_negative; place < visit.last_negative; place++) {
    for (int64_t first = 0; first < batch.size; first += lanes) {
      const int64_t own = first + lane();
      const bool counts = own < batch.size && batch.scores[own * count + place] != 0;
      for (unsigned left = __ballot_sync(~0u, counts); left != 0; left &= left - 1) {
        const int64_t slot = first + __ffs(static_cast<int>(left)) - 1;
        add(negative_weight(task, batch.users[slot]), batch.directions + slot * f, f, gradient);
      }
    }
  }
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
  const DeviceBuffer<float> vectors(context, 4 * most * f), lengths(context, most), rows(context, count * f);
  const DeviceBuffer<float> scores(context, most * count);
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
           .negatives = negatives.data(),
           .rows = rows.data(),
           .scores = scores.data(),
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
