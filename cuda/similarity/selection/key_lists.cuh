// The k best of a stream of keys, kept by a block of threads in shared memory. Device code of topk's kernels.
#pragma once

#include "similarity/topk_key.h"

namespace sartor::cuda {

// Sorts `lists` lists of `size` keys, each in descending order; list l begins at keys + l * stride. size: a power of
// two. Bitonic: a warp owns 64 consecutive keys while partners are at most 32 apart, so these steps need no barrier of
// the block. All threads call it, after a barrier; ends with one.
template <int threads> __device__ void sort_lists(TopkKey* keys, int lists, int size, int stride) {
  const int bits = __popc(size - 1), pairs = lists << bits >> 1;
  for (int run = 2; run <= size; run *= 2) {
    for (int distance = run / 2; distance > 0; distance /= 2) {
      for (int pair = threadIdx.x; pair < pairs; pair += threads) {
        const int list = pair << 1 >> bits, low = pair & (distance - 1);
        const int place = (pair - low) * 2 - (list << bits) + low;
        TopkKey *left = keys + list * stride + place, *right = left + distance;
        const TopkKey a = *left, b = *right;
        if (a < b == ((place & run) == 0)) {
          *left = b;
          *right = a;
        }
      }
      const int next = distance > 1 ? distance / 2 : run;
      distance > 32 || next > 32 ? __syncthreads() : __syncwarp();
    }
  }
  __syncthreads();
}

// Lists in shared memory that are cut to their k best when they are full. Keys must differ, except for 0, which is
// never stored. The k best do not depend on the order of the calls.
//
// Keys come in rounds: each thread offers keys, at most `round` of them per list in all, then all call end_round().
template <int threads> struct KeyLists {
  TopkKey* keys;        // (lists, capacity)
  TopkKey* thresholds;  // (lists) keys up to it are not among the k best
  int* counts;          // (lists)
  int lists, capacity;  // capacity: a power of two, at least k + round, or `round` if there is one round only
  int round, k;

  static constexpr int64_t bytes(int64_t lists, int64_t capacity) {
    return lists * (capacity * sizeof(TopkKey) + sizeof(TopkKey) + sizeof(int));
  }

  // Empty lists in `shared`, aligned to 8 bytes. They can be used after a barrier.
  __device__ KeyLists(void* shared, int lists, int capacity, int round, int k)
      : keys(static_cast<TopkKey*>(shared)),
        thresholds(keys + lists * capacity),
        counts(reinterpret_cast<int*>(thresholds + lists)),
        lists(lists),
        capacity(capacity),
        round(round),
        k(k) {
    for (int list = threadIdx.x; list < lists; list += threads) {
      thresholds[list] = 0;
      counts[list] = 0;
    }
  }

  __device__ bool accepts(int list, TopkKey key) const { return key > thresholds[list]; }

  // Adds a key that is accepted. Returns whether the list has no room for another round then.
  __device__ bool add(int list, TopkKey key) {
    const int place = atomicAdd(counts + list, 1);
    keys[list * capacity + place] = key;
    return place + 1 + round > capacity;
  }

  // full: whether add() returned true in this round. All threads call it; it is a barrier.
  __device__ void end_round(bool full) {
    if (__syncthreads_or(full)) cut();
  }

  // Sorts the lists and drops what is beyond k. All threads call it, after a barrier; ends with one.
  __device__ void cut() {
    int size = 1;
    while (any_count_above(size)) size *= 2;
    for (int i = threadIdx.x; i < lists * size; i += threads) {
      const int list = i / size, place = i % size;
      if (place >= counts[list]) keys[list * capacity + place] = 0;
    }
    __syncthreads();
    sort_lists<threads>(keys, lists, size, capacity);
    for (int list = threadIdx.x; list < lists; list += threads) {
      if (counts[list] < k) continue;
      counts[list] = k;
      thresholds[list] = keys[list * capacity + k - 1];
    }
    __syncthreads();
  }

  // After cut(): the key of that rank, from 0, or 0 if there are fewer.
  __device__ TopkKey key(int list, int rank) const { return rank < counts[list] ? keys[list * capacity + rank] : 0; }

 private:
  __device__ bool any_count_above(int bound) const {
    bool above = false;
    for (int list = threadIdx.x; list < lists; list += threads) above |= counts[list] > bound;
    return __syncthreads_or(above);
  }
};

}  // namespace sartor::cuda
