#include "similarity/selection/sort_keys.cuh"

#include <algorithm>

#include "similarity/selection/key_lists.cuh"
#include "similarity/selection/write_result.cuh"
#include "similarity/topk_merge.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = 512, chunk = 2048;  // keys per block

// Sorts each chunk of each row. Grid: (chunks, rows).
__global__ void __launch_bounds__(threads) sort_chunks_kernel(TopkKey* keys, int64_t k) {
  __shared__ TopkKey shared[chunk];
  const int64_t first = int64_t{blockIdx.x} * chunk;
  const int size = static_cast<int>(min(k - first, int64_t{chunk}));
  keys += blockIdx.y * k + first;
  for (int i = threadIdx.x; i < chunk; i += threads) shared[i] = i < size ? keys[i] : 0;
  __syncthreads();
  sort_lists<threads>(shared, 1, chunk, chunk);
  for (int i = threadIdx.x; i < size; i += threads) keys[i] = shared[i];
}

// Number of keys of the descending list that are above `key`, or not below it.
template <bool or_equal> __device__ int64_t above(const TopkKey* list, int64_t size, TopkKey key) {
  int64_t first = 0;
  while (first < size) {
    const int64_t middle = first + (size - first) / 2;
    const bool is_above = or_equal ? list[middle] >= key : list[middle] > key;
    is_above ? first = middle + 1 : size = middle;
  }
  return first;
}

// How many of the first `count` keys of the merged lists a and b come from a. Equal keys of a come first.
__device__ int64_t share_of_first(const TopkKey* a, int64_t a_size, const TopkKey* b, int64_t b_size, int64_t count) {
  int64_t low = max(count - b_size, int64_t{0}), high = min(count, a_size);
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (a[middle] >= b[count - 1 - middle]) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Merges pairs of sorted runs of each row into `merged`, or into `found` if that is the last pass. Each block writes
// one chunk: it finds the parts of both runs that go there, then the place of each key by a search in the other part.
// Grid: (chunks, rows).
template <bool last> __global__ void __launch_bounds__(threads)
    merge_runs_kernel(const TopkKey* keys, int64_t k, int64_t run, TopkKey* merged, TopK found) {
  __shared__ TopkKey in[chunk], out[chunk];
  const int64_t first = int64_t{blockIdx.x} * chunk, base = first / (2 * run) * (2 * run);
  const int size = static_cast<int>(min(k - first, int64_t{chunk}));
  const TopkKey *a = keys + blockIdx.y * k + base, *b = a + min(run, k - base);
  const int64_t a_size = b - a, b_size = min(run, k - base - a_size);
  const int64_t a_first = share_of_first(a, a_size, b, b_size, first - base), b_first = first - base - a_first;
  const int64_t a_end = share_of_first(a, a_size, b, b_size, first - base + size);
  const int from_a = static_cast<int>(a_end - a_first), from_b = size - from_a;
  for (int i = threadIdx.x; i < size; i += threads) in[i] = i < from_a ? a[a_first + i] : b[b_first + i - from_a];
  __syncthreads();
  for (int i = threadIdx.x; i < size; i += threads) {
    const int64_t place =
        i < from_a ? i + above<false>(in + from_a, from_b, in[i]) : i - from_a + above<true>(in, from_a, in[i]);
    out[place] = in[i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < size; i += threads) {
    if constexpr (last) {
      write_result(found, blockIdx.y, first + i, out[i]);
    } else {
      merged[blockIdx.y * k + first + i] = out[i];
    }
  }
}

// At most as many rows as a grid has.
void sort_long(GpuBackend& backend, TopkKey* keys, TopkKey* other, TopK found) {
  const int64_t k = found.k;
  const dim3 grid((k + chunk - 1) / chunk, found.rows);
  sort_chunks_kernel<<<grid, threads, 0, backend.stream()>>>(keys, k);
  check_launch("topk: sort");
  for (int64_t run = chunk; run < k; run *= 2) {
    const auto kernel = 2 * run >= k ? merge_runs_kernel<true> : merge_runs_kernel<false>;
    kernel<<<grid, threads, 0, backend.stream()>>>(keys, k, run, other, found);
    check_launch("topk: sort");
    std::swap(keys, other);
  }
}

}  // namespace

void sort_keys(GpuBackend& backend, TopkKey* keys, TopkKey* other, TopK found) {
  constexpr int64_t most_rows = 65535;
  if (found.k <= merge_max_k) {
    topk_merge(backend, keys, found.rows, 1, found.k, found);
    return;
  }
  for (int64_t first = 0; first < found.rows; first += most_rows) {
    const int64_t offset = first * found.k;
    sort_long(backend, keys + offset, other + offset,
              {std::min(most_rows, found.rows - first), found.k, found.scores + offset, found.ids + offset});
  }
}

}  // namespace sartor::cuda
