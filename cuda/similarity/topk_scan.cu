#include "similarity/topk_scan.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "similarity/selection/key_lists.cuh"
#include "similarity/selection/radix_select.cuh"
#include "similarity/selection/sort_keys.cuh"
#include "similarity/topk_masks.cuh"
#include "similarity/topk_merge.cuh"
#include "similarity/topk_search.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = ScanPlan::threads, warps = threads / 32;

// How a warp reads rows: `vector` consecutive elements per lane, and as many lanes per row as make up 128 bytes.
template <class Type, int elements> struct Reading {
  using Element = Type;
  static constexpr int vector = elements;
  static constexpr int words = vector * static_cast<int>(sizeof(Element)) / 4;  // of a vector
  static constexpr int part = std::min(vector, 4);                              // elements in use as fp32 at a time
  static constexpr int lanes = 32 / words;                                      // per row
  static constexpr int rows = 32 / lanes;                                       // at a time
  static constexpr int columns = lanes * vector;                                // at a time
};

// Loads a vector, which is read only once. from: aligned to its size.
template <class R> __device__ void load(uint32_t (&to)[R::words], const typename R::Element* from) {
  if constexpr (R::words == 4) {
    const uint4 four = __ldcs(reinterpret_cast<const uint4*>(from));
    to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
  } else if constexpr (R::words == 2) {
    const uint2 two = __ldcs(reinterpret_cast<const uint2*>(from));
    to[0] = two.x, to[1] = two.y;
  } else {
    to[0] = __ldcs(reinterpret_cast<const uint32_t*>(from));
  }
}

// The first R::part elements of a vector; the others move to the front.
template <class R> __device__ void take_part(float (&to)[R::part], uint32_t (&vector)[R::words]) {
  for (int i = 0; i < R::part; i++) {
    if constexpr (std::is_same_v<typename R::Element, float>) {
      to[i] = __uint_as_float(vector[i]);
    } else if constexpr (std::is_same_v<typename R::Element, __nv_bfloat16>) {
      to[i] = __uint_as_float(i % 2 ? vector[i / 2] & 0xffff0000u : vector[i / 2] << 16);
    } else {
      to[i] = __half2float(__ushort_as_half(static_cast<unsigned short>(vector[i / 2] >> i % 2 * 16)));
    }
  }
  if constexpr (R::vector > R::part) {
    vector[0] = vector[2];
    vector[1] = vector[3];
  }
}

// Place of a column of a query in shared memory. Vectors of eight are kept as two halves, each consecutive over the
// lanes of a row, so that lanes read different banks.
template <class R> __device__ int place(int column) {
  if constexpr (R::vector < 8) return column;
  return column / R::columns * R::columns + column % 8 / 4 * (R::columns / 2) + column % R::columns / 8 * 4 +
         column % 4;
}

// Elements `first` to first + R::part - 1 of the lane's vector of a query. from: the first column of the lanes'
// vectors.
template <class R> __device__ void load_query(float (&to)[R::part], const float* from, int lane, int first) {
  if constexpr (R::part == 4) {
    const float4 four = *reinterpret_cast<const float4*>(from + first * R::lanes + lane * 4);
    to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
  } else {
    for (int i = 0; i < R::part; i++) to[i] = from[lane * R::part + i];
  }
}

// Adds each of `count` values over `lanes` neighbouring lanes; the sums are spread over the lanes. Afterwards a lane
// has the sums first, first + 1, ... of max(count / lanes, 1), where `first` is returned; if there are fewer sums than
// lanes, several lanes have the same. The order of addition does not depend on count.
template <int count, int lanes, int size> __device__ int add_over_lanes(float (&values)[size]) {
  if constexpr (lanes == 1) {
    return 0;
  } else if constexpr (count == 1) {
    values[0] += __shfl_xor_sync(~0u, values[0], lanes / 2);
    return add_over_lanes<1, lanes / 2>(values);
  } else {
    const bool upper = threadIdx.x & (lanes / 2);
    for (int i = 0; i < count / 2; i++) {
      const float given = upper ? values[i] : values[i + count / 2], kept = upper ? values[i + count / 2] : values[i];
      values[i] = kept + __shfl_xor_sync(~0u, given, lanes / 2);
    }
    return (upper ? count / 2 : 0) + add_over_lanes<count / 2, lanes / 2>(values);
  }
}

// Copies columns first to first + plan.panel_columns - 1 of the queries to shared memory; zeros beyond.
template <class R, int queries>
__device__ void load_panel(const TopkOperand& operand, int first, int panel_columns, float* panel) {
  const auto* rows = static_cast<const typename R::Element*>(operand.rows);
  for (int q = 0; q < queries; q++) {
    for (int c = threadIdx.x; c < panel_columns; c += threads) {
      const bool real = q < operand.count && first + c < operand.columns;
      panel[q * panel_columns + place<R>(c)] = real ? static_cast<float>(rows[q * operand.stride + first + c]) : 0;
    }
  }
}

// The rows of a lane: every R::rows-th from `first` on, `left` rows before the end of the items.
template <class R> struct LaneRows {
  const typename R::Element* first;
  int64_t step;  // elements
  int left;
};

// Adds the products of columns first to end - 1 to sums[r * queries + q].
template <class R, int queries, int rows> __device__ void multiply(float (&sums)[rows * queries],
                                                                   const LaneRows<R>& items, int first, int end,
                                                                   const float* panel, int panel_columns) {
  const int lane = threadIdx.x % R::lanes;
#pragma unroll 1
  for (int c = first; c < end; c += R::columns) {
    uint32_t vectors[rows][R::words];
    const typename R::Element* from = items.first + c + lane * R::vector;
#pragma unroll
    for (int r = 0; r < rows; r++) {
      for (uint32_t& word : vectors[r]) word = 0;
      if (r * R::rows < items.left && c + lane * R::vector < end) load<R>(vectors[r], from);
      from += items.step;
    }
#pragma unroll 1  // unrolled, it would need more registers than there are
    for (int part = 0; part < R::vector; part += R::part) {
      float item[rows][R::part];
#pragma unroll
      for (int r = 0; r < rows; r++) take_part<R>(item[r], vectors[r]);
#pragma unroll
      for (int q = 0; q < queries; q++) {
        float query[R::part];
        load_query<R>(query, panel + q * panel_columns + (c - first), lane, part);
#pragma unroll
        for (int r = 0; r < rows; r++) {
          for (int i = 0; i < R::part; i++) sums[r * queries + q] = fmaf(item[r][i], query[i], sums[r * queries + q]);
        }
      }
    }
  }
}

// Compares every item with every query. Grid: plan.blocks. Dynamic shared memory: the panel of the queries (queries,
// plan.panel_columns), then KeyLists if plan.lists. Output: keys (Q, blocks, k), or scores (Q, stride), -inf where
// an item must not be found.
template <class R, int queries> __global__ void __launch_bounds__(threads, queries == 1 ? 3 : 2)
    scan_kernel(const TopkSearch search, const ScanPlan plan, TopkKey* keys, float* scores, int64_t stride) {
  constexpr int rows = queries == 1 ? 8 : 4;  // per lane
  constexpr int warp_rows = rows * R::rows, round = warps * warp_rows;
  constexpr int sums_per_lane = std::max(rows * queries / R::lanes, 1),
                copies = std::max(R::lanes / (rows * queries), 1);
  extern __shared__ float4 shared[];
  auto* panel = reinterpret_cast<float*>(shared);
  KeyLists<threads> best(panel + queries * plan.panel_columns, plan.lists ? search.queries.count : 0, plan.capacity,
                         round, search.k);
  const auto* first_row = static_cast<const typename R::Element*>(search.items.rows);
  const int64_t items = search.items.count;
  const int columns = static_cast<int>(search.items.columns);
  const int warp = threadIdx.x / 32, row_in_warp = threadIdx.x % 32 / R::lanes;
  load_panel<R, queries>(search.queries, 0, plan.panel_columns, panel);
  __syncthreads();

  for (int64_t begin = int64_t{blockIdx.x} * round; begin < items; begin += int64_t{gridDim.x} * round) {
    const int64_t first_item = begin + warp * warp_rows + row_in_warp;
    const LaneRows<R> lane_rows{first_row + first_item * search.items.stride, R::rows * search.items.stride,
                                static_cast<int>(max(min(items - first_item, int64_t{round}), int64_t{0}))};
    float sums[rows * queries] = {};
    multiply<R, queries, rows>(sums, lane_rows, 0, min(columns, plan.panel_columns), panel, plan.panel_columns);
    for (int first = plan.panel_columns; first < columns; first += plan.panel_columns) {
      __syncthreads();
      load_panel<R, queries>(search.queries, first, plan.panel_columns, panel);
      __syncthreads();
      multiply<R, queries, rows>(sums, lane_rows, first, min(columns, first + plan.panel_columns), panel,
                                 plan.panel_columns);
    }

    const int first_sum = add_over_lanes<rows * queries, R::lanes>(sums);
    bool full = false;
#pragma unroll
    for (int i = 0; i < sums_per_lane; i++) {
      const int q = (first_sum + i) % queries;
      const int64_t item = first_item + (first_sum + i) / queries * R::rows;
      if (threadIdx.x % copies > 0 || item >= items || q >= search.queries.count) continue;
      const float score =
          final_score(sums[i], search.queries.scale ? search.queries.scale[q] : 1,
                      search.items.scale ? search.items.scale[item] : 1, search.item_bias ? search.item_bias[item] : 0);
      if (!plan.lists) {
        scores[q * stride + item] = may_find(search, q, static_cast<int32_t>(item)) ? score : -INFINITY;
        continue;
      }
      const TopkKey key = topk_key(score, static_cast<int32_t>(item));
      if (score > -INFINITY && best.accepts(q, key) && may_find(search, q, static_cast<int32_t>(item)))
        full |= best.add(q, key);
    }
    if (plan.lists) best.end_round(full);
    if (columns > plan.panel_columns) {
      __syncthreads();
      load_panel<R, queries>(search.queries, 0, plan.panel_columns, panel);
      __syncthreads();
    }
  }

  if (!plan.lists) return;
  best.cut();
  const int k = static_cast<int>(search.k);
  for (int i = threadIdx.x; i < best.lists * k; i += threads)
    keys[(int64_t{i / k} * gridDim.x + blockIdx.x) * k + i % k] = best.key(i / k, i % k);
}

template <class R, int queries> void scan(GpuBackend& backend, const TopkSearch& search, const ScanPlan& plan,
                                          TopkKey* keys, float* scores, int64_t stride) {
  const auto kernel = scan_kernel<R, queries>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(plan.shared_bytes)),
        "topk: shared memory");
  kernel<<<plan.blocks, threads, plan.shared_bytes, backend.stream()>>>(search, plan, keys, scores, stride);
  check_launch("topk: scan");
}

template <class R> void scan(GpuBackend& backend, const TopkSearch& search, const ScanPlan& plan, TopkKey* keys,
                             float* scores, int64_t stride) {
  const auto launch = plan.queries == 1 ? scan<R, 1> : plan.queries == 4 ? scan<R, 4> : scan<R, 16>;
  launch(backend, search, plan, keys, scores, stride);
}

// The widest reads for which every row is aligned.
auto reading_of(const TopkOperand& items) {
  if (items.element == TopkElement::fp16) return scan<Reading<__half, 8>>;
  if (items.element == TopkElement::bf16) return scan<Reading<__nv_bfloat16, 8>>;
  const auto aligned = [&](int vector) {
    return reinterpret_cast<uintptr_t>(items.rows) % (4 * vector) == 0 && items.stride % vector == 0 &&
           items.columns % vector == 0;
  };
  return aligned(4) ? scan<Reading<float, 4>> : aligned(2) ? scan<Reading<float, 2>> : scan<Reading<float, 1>>;
}

}  // namespace

void topk_scan(GpuBackend& backend, const TopkSearch& search, const ScanPlan& plan, void* workspace) {
  const auto launch = reading_of(search.items);
  if (plan.lists) {
    auto* keys = static_cast<TopkKey*>(workspace);
    launch(backend, search, plan, keys, nullptr, 0);
    topk_merge(backend, keys, search.queries.count, plan.blocks, search.k, search.found);
  } else {
    const int64_t rows = search.queries.count, stride = score_stride(search.items.count);
    auto* scores = static_cast<float*>(workspace);
    float* state = scores + rows * stride;
    auto* best = reinterpret_cast<TopkKey*>(state) + plan.select.state_bytes / 8;
    launch(backend, search, plan, nullptr, scores, stride);
    select_best(backend, search, {.scores = scores, .stride = stride, .rows = rows, .columns = search.items.count},
                plan.select, state, nullptr, best);
    sort_keys(backend, best, best + rows * search.k, search.found);
  }
}

}  // namespace sartor::cuda
