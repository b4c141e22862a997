#include "similarity/selection/radix_select.cuh"

#include <cub/block/block_scan.cuh>
#include <cuda/atomic>

#include "similarity/selection/key_lists.cuh"
#include "similarity/topk_masks.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = 1024, bins = SelectPlan::bins, max_candidates = SelectPlan::candidates;

// Of the blocks that share a row, in device memory; initially 0.
struct SharedState {
  uint32_t arrived;  // at barriers, by all blocks
  int taken;         // keys in `best`
  int candidates;
  int unused;
  int histograms[SelectPlan::digits][bins];
  TopkKey keys[max_candidates];  // candidates
};
static_assert(sizeof(SharedState) == SelectPlan::shared_state_bytes);

// In shared memory of each block.
struct BlockState {
  cub::BlockScan<int, threads>::TempStorage scan;
  int histogram[bins];
  TopkKey keys[max_candidates];
  int taken, candidates;
  int digit, wanted, bucket;
};

// Waits for the other blocks of the row, of which there are `blocks`, for the `count`-th time.
__device__ void row_barrier(uint32_t& arrived, int blocks, int count) {
  __syncthreads();
  if (threadIdx.x == 0) {
    const ::cuda::atomic_ref<uint32_t, ::cuda::thread_scope_device> counter(arrived);
    counter.fetch_add(1, ::cuda::memory_order_acq_rel);
    while (counter.load(::cuda::memory_order_acquire) < static_cast<uint32_t>(blocks * count)) {
    }
  }
  __syncthreads();
}

// What a block reads of its row: scores and kept keys.
struct Part {
  float4* scores;  // groups of four, from item first_item on
  int64_t first_group, end_group, end_item;
  int64_t first_item;  // of group 0
  const TopkKey* kept;
  int64_t first_kept, end_kept;

  // Calls f(keys) for groups of four keys, 0 for none; all lanes of a warp at the same time. finish(scores, item)
  // may change four scores, which are then stored.
  template <class Finish, class Function> __device__ void for_keys(Finish finish, Function f) const {
    const int64_t lane = threadIdx.x % 32;
    for (int64_t warp = first_group + threadIdx.x / 32 * 32; warp < end_group; warp += threads) {
      const int64_t group = warp + lane, item = first_item + 4 * group;
      TopkKey keys[4] = {};
      if (group < end_group) {
        const float4 four = finish(scores + group, item);
        const float values[4] = {four.x, four.y, four.z, four.w};
        for (int i = 0; i < 4; i++) {
          const bool real = values[i] > -INFINITY && item + i < end_item;  // false for NaN
          keys[i] = real ? topk_key(values[i], static_cast<int32_t>(item + i)) : 0;
        }
      }
      f(keys);
    }
    for (int64_t warp = first_kept + threadIdx.x / 32 * 32; warp < end_kept; warp += threads) {
      TopkKey keys[4] = {};
      if (warp + lane < end_kept) keys[0] = kept[warp + lane];
      f(keys);
    }
  }
};

__device__ Part part_of_block(const ScoreTile& tile, int64_t row, int block, int blocks, const TopkKey* kept,
                              int64_t k) {
  const auto begin = [&](int64_t size, int index) { return size * index / blocks; };
  const int64_t groups = tile.stride / 4, kept_keys = kept ? k : 0;
  return {.scores = reinterpret_cast<float4*>(tile.scores + row * tile.stride),
          .first_group = begin(groups, block),
          .end_group = begin(groups, block + 1),
          .end_item = tile.first_item + tile.columns,
          .first_item = tile.first_item,
          .kept = kept ? kept + row * k : nullptr,
          .first_kept = begin(kept_keys, block),
          .end_kept = begin(kept_keys, block + 1)};
}

// Writes -inf for the excluded items of the part: its threads walk the query's list from its first item on.
__device__ void exclude(const IdLists& excluded, int64_t query, const Part& part) {
  if (excluded.rows == 0) return;
  const int64_t first = part.first_item + 4 * part.first_group;
  const int64_t end = min(part.first_item + 4 * part.end_group, part.end_item);
  const int32_t *id = excluded.ids + excluded.offsets[query], *last = excluded.ids + excluded.offsets[query + 1];
  int64_t size = last - id;
  while (size > 0) {
    const int64_t half = size / 2;
    const bool before = id[half] < first;
    if (before) id += half + 1;
    size = before ? size - half - 1 : half;
  }
  auto* scores = reinterpret_cast<float*>(part.scores);
  for (id += threadIdx.x; id < last && *id < end; id += threads) scores[*id - part.first_item] = -INFINITY;
  __syncthreads();
}

// From products to scores.
struct Finish {
  const TopkSearch& search;
  float query_scale;
  int64_t end_item;

  __device__ float score(float product, int64_t item) const {
    if (item >= end_item || !(open_items(search, item / 32) >> item % 32 & 1)) return -INFINITY;
    return final_score(product, query_scale, search.items.scale ? search.items.scale[item] : 1,
                       search.item_bias ? search.item_bias[item] : 0);
  }
  __device__ float4 operator()(float4* four, int64_t item) const {
    float4 s = *four;
    s = {score(s.x, item), score(s.y, item + 1), score(s.z, item + 2), score(s.w, item + 3)};
    return *four = s;
  }
};

// Determines state.digit, the bin of the key of rank state.wanted, from 1, among the keys of the histogram; the rank
// within the bin becomes state.wanted, its size state.bucket. If there are fewer keys in all, bucket becomes 0.
__device__ void find_digit(BlockState& state) {
  const int upper = bins - 1 - 2 * static_cast<int>(threadIdx.x), wanted = state.wanted;
  const int first = state.histogram[upper], second = state.histogram[upper - 1];
  int above = 0, total = 0;
  cub::BlockScan<int, threads>(state.scan).ExclusiveSum(first + second, above, total);
  __syncthreads();
  if (total < wanted && threadIdx.x == 0) state.bucket = 0;
  if (above < wanted && wanted <= above + first + second) {
    const bool in_first = wanted <= above + first;
    state.digit = in_first ? upper : upper - 1;
    state.wanted = in_first ? wanted - above : wanted - above - first;
    state.bucket = in_first ? first : second;
  }
  __syncthreads();
}

// The warp appends the keys for which `take` is set to a list with room for them.
__device__ void append(bool take, TopkKey key, int* count, TopkKey* list) {
  const unsigned votes = __ballot_sync(~0u, take);
  if (!votes) return;
  const int lane = threadIdx.x % 32;
  int place = 0;
  if (lane == 0) place = atomicAdd(count, __popc(votes));
  place = __shfl_sync(~0u, place, 0);
  if (take) list[place + __popc(votes & ((1u << lane) - 1))] = key;
}

// Selects the k best of a row per group of `blocks` blocks. The upper digits of the k-th best key are determined from
// histograms of 11 bits, until the keys that share them are few enough for a sort in shared memory, usually after two
// passes. One more pass moves all keys above to `best`.
__global__ void __launch_bounds__(threads, 1) select_kernel(const TopkSearch search, const ScoreTile tile, int blocks,
                                                            SharedState* states, const TopkKey* kept, TopkKey* best) {
  __shared__ BlockState state;
  const int64_t row = blockIdx.x / blocks, query = tile.first_query + row;
  const int block = blockIdx.x % blocks, k = static_cast<int>(search.k);
  SharedState* shared = blocks > 1 ? states + row : nullptr;
  const Part part = part_of_block(tile, row, block, blocks, kept, k);
  const auto as_it_is = [](const float4* four, int64_t) { return *four; };
  best += row * k;
  if (threadIdx.x == 0) {
    state.taken = state.candidates = 0;
    state.wanted = k;
  }
  if (tile.products) exclude(search.excluded, query, part);

  int barriers = 0, shift = 64;
  TopkKey prefix = 0;  // digits determined so far: key >> shift
  for (int digit = 0; digit < SelectPlan::digits; digit++) {
    for (int i = threadIdx.x; i < bins; i += threads) state.histogram[i] = 0;
    __syncthreads();
    const int width = digit % 3 == 2 ? 10 : 11, next_shift = shift - width;
    const auto count = [&](const TopkKey(&keys)[4]) {
      for (const TopkKey key : keys) {
        if (key && (digit == 0 || key >> shift == prefix))
          atomicAdd(state.histogram + (key >> next_shift & ((1 << width) - 1)), 1);
      }
    };
    if (digit == 0 && tile.products) {
      part.for_keys(Finish{search, search.queries.scale ? search.queries.scale[query] : 1, part.end_item}, count);
    } else {
      part.for_keys(as_it_is, count);
    }
    __syncthreads();
    if (shared) {
      for (int i = threadIdx.x; i < bins; i += threads) {
        if (state.histogram[i]) atomicAdd(shared->histograms[digit] + i, state.histogram[i]);
      }
      row_barrier(shared->arrived, blocks, ++barriers);
      for (int i = threadIdx.x; i < bins; i += threads) state.histogram[i] = __ldcg(shared->histograms[digit] + i);
      __syncthreads();
    }
    find_digit(state);
    if (state.bucket == 0) break;
    prefix = prefix << width | state.digit;
    shift = next_shift;
    if (state.bucket == state.wanted || state.bucket <= max_candidates) break;
  }

  // All keys above the prefix are among the k best; of those with the prefix, the `wanted` best.
  const bool all = state.bucket == 0, all_of_prefix = all || state.bucket == state.wanted;
  int *taken = shared ? &shared->taken : &state.taken, *candidates = shared ? &shared->candidates : &state.candidates;
  TopkKey* candidate_keys = shared ? shared->keys : state.keys;
  part.for_keys(as_it_is, [&](const TopkKey(&keys)[4]) {
    for (const TopkKey key : keys) {
      const TopkKey digits = all ? 1 : key >> shift;
      append(key && (digits > prefix || (all_of_prefix && digits == prefix)), key, taken, best);
      if (!all_of_prefix) append(key && digits == prefix, key, candidates, candidate_keys);
    }
  });
  if (shared) {
    row_barrier(shared->arrived, blocks, ++barriers);
    if (block > 0) return;
  } else {
    __syncthreads();
  }

  const int above = *taken, found = *candidates, chosen = all_of_prefix ? 0 : state.wanted;
  int size = 1;
  while (size < found) size *= 2;
  for (int i = threadIdx.x; i < size; i += threads) {
    if (i >= found) {
      state.keys[i] = 0;
    } else if (shared) {
      state.keys[i] = shared->keys[i];
    }
  }
  __syncthreads();
  sort_lists<threads>(state.keys, 1, size, size);
  for (int i = above + threadIdx.x; i < k; i += threads) best[i] = i < above + chosen ? state.keys[i - above] : 0;
}

}  // namespace

void select_best(GpuBackend& backend, const TopkSearch& search, const ScoreTile& tile, const SelectPlan& plan,
                 void* state, const TopkKey* kept, TopkKey* best) {
  auto* states = static_cast<SharedState*>(state);
  const auto grid = static_cast<unsigned>(tile.rows * plan.blocks_per_row);
  if (plan.blocks_per_row == 1) {
    select_kernel<<<grid, threads, 0, backend.stream()>>>(search, tile, 1, nullptr, kept, best);
  } else {
    check(cudaMemsetAsync(states, 0, tile.rows * sizeof(SharedState), backend.stream()), "topk: selection");
    int blocks = plan.blocks_per_row;
    void* arguments[] = {
        const_cast<TopkSearch*>(&search), const_cast<ScoreTile*>(&tile), &blocks, &states, &kept, &best};
    check(cudaLaunchCooperativeKernel(select_kernel, grid, threads, arguments, 0, backend.stream()), "topk: selection");
  }
  check_launch("topk: selection");
}

}  // namespace sartor::cuda
