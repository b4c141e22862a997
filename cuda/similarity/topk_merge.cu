#include "similarity/topk_merge.cuh"

#include <algorithm>
#include <bit>

#include "similarity/selection/key_lists.cuh"
#include "similarity/selection/write_result.cuh"

namespace sartor::cuda {
namespace {

// Finds a first threshold for a single list: the k-th of the largest keys of groups of threads. Most of the k best are
// in different groups, so that few other keys are above it. All threads call it, after a barrier; ends with one.
template <int threads>
__device__ void find_threshold(KeyLists<threads>& best, const TopkKey* keys, int64_t candidates) {
  int group = 32;  // threads
  while (group > 1 && threads / group < 2 * best.k) group /= 2;
  if (threads / group < best.k) return;
  TopkKey largest = 0;
#pragma unroll 4  // so that several loads are under way
  for (int64_t i = threadIdx.x; i < candidates; i += threads) largest = max(largest, keys[i]);
  for (int distance = group / 2; distance > 0; distance /= 2)
    largest = max(largest, __shfl_xor_sync(~0u, largest, distance));
  if (threadIdx.x % group == 0) best.keys[threadIdx.x / group] = largest;
  __syncthreads();
  sort_lists<threads>(best.keys, 1, threads / group, 0);
  if (threadIdx.x == 0 && best.keys[best.k - 1] > 0) best.thresholds[0] = best.keys[best.k - 1] - 1;
  __syncthreads();
}

// Merges `lists` queries per block, whose candidates are (candidates) consecutive keys each, `round` of them at a time.
// Dynamic shared memory: KeyLists::bytes(lists, capacity).
template <int threads> __global__ void __launch_bounds__(threads)
    merge_kernel(const TopkKey* keys, int64_t candidates, int lists, int capacity, int round, TopK found) {
  extern __shared__ TopkKey shared_keys[];
  const int k = static_cast<int>(found.k);
  KeyLists<threads> best(shared_keys, lists, capacity, round, k);
  __syncthreads();
  const int64_t first_query = int64_t{blockIdx.x} * lists;
  if (candidates > threads) find_threshold(best, keys + first_query * candidates, candidates);
  for (int64_t first = 0; first < candidates; first += round) {
    bool full = false;
    for (int i = threadIdx.x; i < lists * round; i += threads) {
      const int list = i / round;
      const int64_t query = first_query + list, candidate = first + i % round;
      if (query >= found.rows || candidate >= candidates) continue;
      const TopkKey key = keys[query * candidates + candidate];
      if (best.accepts(list, key)) full |= best.add(list, key);
    }
    best.end_round(full && first + round < candidates);
  }
  best.cut();
  for (int i = threadIdx.x; i < lists * k; i += threads) {
    const int64_t query = first_query + i / k;
    if (query < found.rows) write_result(found, query, i % k, best.key(i / k, i % k));
  }
}

template <int threads> void merge(GpuBackend& backend, const TopkKey* keys, int64_t candidates, int lists, int capacity,
                                  int64_t round, TopK found) {
  const int64_t blocks = (found.rows + lists - 1) / lists, shared = KeyLists<threads>::bytes(lists, capacity);
  merge_kernel<threads><<<blocks, threads, shared, backend.stream()>>>(keys, candidates, lists, capacity,
                                                                       static_cast<int>(round), found);
  check_launch("topk: merge");
}

}  // namespace

// Few candidates: several queries per block, so that its threads have work; many: one query, in rounds.
void topk_merge(GpuBackend& backend, const TopkKey* keys, int64_t queries, int64_t parts, int64_t k, TopK found) {
  constexpr int64_t few = 512, usual_capacity = 2048;
  const int64_t candidates = parts * k;
  found.rows = queries;
  found.k = k;
  if (candidates <= few) {
    const auto capacity = static_cast<int>(std::bit_ceil(static_cast<uint64_t>(candidates)));
    merge<256>(backend, keys, candidates, static_cast<int>(few / capacity), capacity, candidates, found);
  } else {
    const auto capacity = static_cast<int>(std::bit_ceil(static_cast<uint64_t>(std::max(2 * k, usual_capacity))));
    merge<1024>(backend, keys, candidates, 1, capacity, std::min(candidates, capacity - k), found);
  }
}

}  // namespace sartor::cuda
