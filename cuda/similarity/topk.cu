#include <cub/block/block_scan.cuh>

#include <algorithm>

#include "base/require.h"
#include "core/gpu_backend.cuh"
#include "similarity/topk.cuh"
#include "similarity/topk_key.h"

namespace sartor::cuda {
namespace {

constexpr int threads = 256;      // per block, in every kernel below
constexpr int tile = 64;          // queries and items per block of score_kernel
constexpr int tile_columns = 16;  // columns in shared memory at a time
constexpr int item_tile = 8192;   // items between selections
constexpr int64_t workspace_bytes = 32 << 20;

// 1 / |row|, 0 for a zero row. One warp per row, any grid. rows_nd (n, d); inverse_n (n).
__global__ void inverse_norms_kernel(const float* rows_nd, int64_t n, int64_t d, float* inverse_n) {
  const int lane = threadIdx.x % 32;
  const int64_t warps = int64_t{gridDim.x} * threads / 32;
  for (int64_t row = (int64_t{blockIdx.x} * threads + threadIdx.x) / 32; row < n; row += warps) {
    float sum = 0;
    for (int64_t c = lane; c < d; c += 32) sum = fmaf(rows_nd[row * d + c], rows_nd[row * d + c], sum);
    for (int step = 16; step; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (lane == 0) inverse_n[row] = sum > 0 ? 1 / sqrtf(sum) : 0;
  }
}

__device__ bool contains(const int32_t* begin, const int32_t* end, int32_t id) {
  while (begin < end) {
    const int32_t* middle = begin + (end - begin) / 2;
    if (*middle == id) return true;
    *middle < id ? begin = middle + 1 : end = middle;
  }
  return false;
}

// Arguments of one launch of score_kernel.
struct Problem {
  Rows<const float> queries, items;
  const float *query_scale, *item_scale;  // inverse norms; null for dot
  const float* item_bias;                 // or null
  IdLists excluded;
  int64_t first_query, end_query, first_item, end_item;
};

// Candidates of the queries first_query to end_query - 1.
struct Candidates {
  TopkKey* keys;        // (queries, capacity)
  int64_t capacity;     // k + item_tile, or k rounded up to a power of two if that is larger
  int32_t* counts;      // (queries) number of keys
  TopkKey* thresholds;  // (queries) k-th best key at the last selection, initially 0
};

// Computes the scores of tile x tile pairs, each summed over the columns in order, and appends keys above the query's
// threshold to its candidates, in no fixed order. Grid: (item tiles, query tiles); threads: 16 x 16, each with 4 x 4
// scores.
__global__ void __launch_bounds__(threads) score_kernel(const Problem problem, const Candidates candidates) {
  __shared__ float queries[tile_columns][tile + 1], items[tile_columns][tile + 1];
  const int64_t d = problem.items.columns;
  const int64_t first_query = problem.first_query + int64_t{blockIdx.y} * tile;
  const int64_t first_item = problem.first_item + int64_t{blockIdx.x} * tile;
  const int x = threadIdx.x % 16, y = threadIdx.x / 16;

  float sums[4][4] = {};
  for (int64_t first_column = 0; first_column < d; first_column += tile_columns) {
    const int64_t c = first_column + x;
    for (int r = y; r < tile; r += 16) {
      const int64_t q = first_query + r, item = first_item + r;
      const float scale = problem.query_scale && q < problem.end_query ? problem.query_scale[q] : 1;
      queries[x][r] = c < d && q < problem.end_query ? problem.queries.data[q * d + c] * scale : 0;
      items[x][r] = c < d && item < problem.end_item ? problem.items.data[item * d + c] : 0;
    }
    __syncthreads();
    for (int column = 0; column < tile_columns; column++) {
      float a[4], b[4];
      for (int i = 0; i < 4; i++) a[i] = queries[column][y + 16 * i];
      for (int j = 0; j < 4; j++) b[j] = items[column][x + 16 * j];
      for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
      }
    }
    __syncthreads();
  }

  // The half warp of a query reserves its places with one atomic operation for up to 64 keys.
  const int lane = threadIdx.x % 32;
  const unsigned half = 0xffffu << (lane & 16), before = half & ((1u << lane) - 1);
  for (int i = 0; i < 4; i++) {
    const int64_t q = first_query + y + 16 * i, row = q - problem.first_query;
    const TopkKey threshold = q < problem.end_query ? candidates.thresholds[row] : ~TopkKey{0};
    TopkKey keys[4];
    unsigned votes[4];
    int total = 0;
    for (int j = 0; j < 4; j++) {
      const int64_t item = first_item + x + 16 * j;
      const bool real = q < problem.end_query && item < problem.end_item;
      const float scale = problem.item_scale && real ? problem.item_scale[item] : 1;
      const float score = fmaf(sums[i][j], scale, problem.item_bias && real ? problem.item_bias[item] : 0);
      keys[j] = topk_key(score, static_cast<int32_t>(item));
      bool hit = real && score > -INFINITY && keys[j] > threshold;  // false for NaN
      if (hit && problem.excluded.rows > 0) {
        hit = !contains(problem.excluded.ids + problem.excluded.offsets[q],
                        problem.excluded.ids + problem.excluded.offsets[q + 1], static_cast<int32_t>(item));
      }
      votes[j] = __ballot_sync(~0u, hit) & half;
      total += __popc(votes[j]);
    }
    int place = 0;
    if (total > 0 && x == 0) place = atomicAdd(candidates.counts + row, total);
    place = __shfl_sync(~0u, place, lane & 16);
    for (int j = 0; j < 4; j++) {
      if (votes[j] >> lane & 1)
        candidates.keys[row * candidates.capacity + place + __popc(votes[j] & before)] = keys[j];
      place += __popc(votes[j]);
    }
  }
}

// Keeps the k best candidates of each query: determines the k-th best key digit by digit (radix select), then moves the
// keys not below it to the front. One block per query.
__global__ void __launch_bounds__(threads) select_kernel(const Candidates candidates, int64_t k) {
  using Scan = cub::BlockScan<int, threads>;
  __shared__ typename Scan::TempStorage scan;
  __shared__ int histogram[256];
  __shared__ TopkKey prefix;  // digits determined so far
  __shared__ int wanted;      // rank of the key among keys with that prefix, from 1
  const int n = candidates.counts[blockIdx.x];
  if (n <= k) return;
  TopkKey* keys = candidates.keys + blockIdx.x * candidates.capacity;
  if (threadIdx.x == 0) {
    prefix = 0;
    wanted = static_cast<int>(k);
  }
  for (int shift = 56; shift >= 0; shift -= 8) {
    histogram[threadIdx.x] = 0;
    __syncthreads();
    const TopkKey begins = prefix;
    const int rank = wanted;
    for (int i = threadIdx.x; i < n; i += threads) {
      if (shift == 56 || keys[i] >> (shift + 8) == begins) atomicAdd(histogram + (keys[i] >> shift & 255), 1);
    }
    __syncthreads();
    const int digit = 255 - static_cast<int>(threadIdx.x), here = histogram[digit];
    int above = 0;
    Scan(scan).ExclusiveSum(here, above);
    __syncthreads();
    if (above < rank && rank <= above + here) {
      prefix = begins << 8 | digit;
      wanted = rank - above;
    }
  }
  __syncthreads();

  const TopkKey threshold = prefix;
  int kept = 0;
  for (int first = 0; first < n; first += threads) {
    const int i = first + static_cast<int>(threadIdx.x);
    const TopkKey key = i < n ? keys[i] : 0;
    int place = 0, total = 0;
    Scan(scan).ExclusiveSum(key >= threshold, place, total);
    if (key >= threshold) keys[kept + place] = key;
    kept += total;
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    candidates.counts[blockIdx.x] = kept;
    candidates.thresholds[blockIdx.x] = threshold;
  }
}

// Sorts the candidates of each query, at most k, in descending order (bitonic sort in global memory, for any k), and
// writes them to scores and ids (queries, k). One block per query.
__global__ void __launch_bounds__(threads)
    sort_kernel(const Candidates candidates, int64_t k, float* scores, int32_t* ids) {
  TopkKey* keys = candidates.keys + blockIdx.x * candidates.capacity;
  const int64_t n = candidates.counts[blockIdx.x];
  int64_t padded = 1;
  while (padded < n) padded *= 2;
  for (int64_t i = n + threadIdx.x; i < padded; i += threads) keys[i] = 0;
  for (int64_t run = 2; run <= padded; run *= 2) {
    for (int64_t distance = run / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int64_t pair = threadIdx.x; pair < padded / 2; pair += threads) {
        const int64_t left = pair / distance * distance * 2 + pair % distance, right = left + distance;
        const bool descending = (left & run) == 0;
        const TopkKey a = keys[left], b = keys[right];
        if (a < b == descending) {
          keys[left] = b;
          keys[right] = a;
        }
      }
    }
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < k; i += threads) {
    scores[blockIdx.x * k + i] = i < n ? topk_score(keys[i]) : -INFINITY;
    ids[blockIdx.x * k + i] = i < n ? topk_id(keys[i]) : -1;
  }
}

void inverse_norms(Context& context, Rows<const float> rows, float* inverse) {
  const int64_t blocks =
      std::min<int64_t>((rows.rows * 32 + threads - 1) / threads, 32 * gpu(context).multiprocessors());
  inverse_norms_kernel<<<blocks, threads, 0, gpu(context).stream()>>>(rows.data, rows.rows, rows.columns, inverse);
  check_launch("topk: norms");
}

}  // namespace

void prepare_topk_rows_gpu(Context& context, const TopkRowsTask& task) {
  require(!task.copy, "topk: centring and 16 bits are not supported on this device");
  inverse_norms(context, task.rows, task.scale);
}

void topk_gpu(Context& context, const TopkTask& task) {
  const auto& [queries, given, prepared, item_bias, excluded, allowed, denied, params, found] = task;
  require(!allowed && !denied, "topk: sets of items are not supported on this device");
  const Rows<const float> items = {static_cast<const float*>(prepared->rows()), prepared->count(), prepared->columns()};
  GpuBackend& backend = gpu(context);
  const cudaStream_t stream = backend.stream();
  int64_t padded_k = 1;
  while (padded_k < params.k) padded_k *= 2;
  const int64_t capacity = std::max(params.k + std::min<int64_t>(item_tile, items.rows), padded_k);
  const int64_t query_bytes = capacity * sizeof(TopkKey) + sizeof(TopkKey) + sizeof(int32_t);
  const int64_t query_tile = std::clamp<int64_t>(workspace_bytes / query_bytes, 1, queries.rows);

  const bool cosine = params.similarity == Similarity::cosine;
  const int64_t norms = cosine ? queries.rows : 0;
  auto* keys = static_cast<TopkKey*>(context.scratch(query_tile * query_bytes + norms * sizeof(float)));
  TopkKey* thresholds = keys + query_tile * capacity;
  auto* counts = reinterpret_cast<int32_t*>(thresholds + query_tile);
  auto* query_scale = reinterpret_cast<float*>(counts + query_tile);
  const Candidates candidates{keys, capacity, counts, thresholds};
  if (cosine) inverse_norms(context, queries, query_scale);

  Problem problem{queries, items, cosine ? query_scale : nullptr, prepared->scale(), item_bias, excluded, 0, 0, 0, 0};
  for (int64_t first_query = 0; first_query < queries.rows; first_query += query_tile) {
    const int64_t rows = std::min(query_tile, queries.rows - first_query);
    problem.first_query = first_query;
    problem.end_query = first_query + rows;
    check(cudaMemsetAsync(thresholds, 0, query_tile * (sizeof(TopkKey) + sizeof(int32_t)), stream), "topk: reset");
    for (int64_t first_item = 0; first_item < items.rows; first_item += item_tile) {
      problem.first_item = first_item;
      problem.end_item = std::min(first_item + item_tile, items.rows);
      const dim3 grid((problem.end_item - first_item + tile - 1) / tile, (rows + tile - 1) / tile);
      score_kernel<<<grid, threads, 0, stream>>>(problem, candidates);
      check_launch("topk: scores");
      select_kernel<<<rows, threads, 0, stream>>>(candidates, params.k);
      check_launch("topk: selection");
    }
    sort_kernel<<<rows, threads, 0, stream>>>(candidates, params.k, found.scores + first_query * params.k,
                                              found.ids + first_query * params.k);
    check_launch("topk: sort");
  }
}

}  // namespace sartor::cuda
