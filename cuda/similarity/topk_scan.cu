#include "similarity/topk_scan.h"

#include "similarity/selection/key_lists.cuh"
#include "similarity/selection/radix_select.cuh"
#include "similarity/selection/sort_keys.cuh"
#include "similarity/topk_masks.cuh"
#include "similarity/topk_merge.cuh"
#include "similarity/topk_scan.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = ScanPlan::threads, warps = threads / 32;

// Output of scan_kernel: keys (Q, blocks, k) if plan.lists, otherwise scores, rows of `stride`, -inf where an item must
// not be found.
struct Scanned {
  TopkKey* keys = nullptr;
  float* scores = nullptr;
  int64_t stride = 0;
};

// Adds the products of the warp's rows with all queries to `sums`. The panel holds the first columns of the queries
// before and afterwards.
template <class Products>
__device__ void multiply(const TopkOperand& queries, const scan::WarpRows<typename Products::Element>& rows,
                         int panel_columns, typename Products::Element* panel, float (&sums)[Products::sums]) {
  const int columns = static_cast<int>(queries.columns), stride = Products::stride(panel_columns);
  Products::multiply(sums, rows, 0, min(columns, panel_columns), panel, stride);
  if (columns <= panel_columns) return;
  const auto load = [&](int first) {
    __syncthreads();
    scan::load_panel<Products>(queries, first, panel_columns, panel);
    __syncthreads();
  };
  for (int first = panel_columns; first < columns; first += panel_columns) {
    load(first);
    Products::multiply(sums, rows, first, min(columns, first + panel_columns), panel, stride);
  }
  load(0);
}

// Stores the lane's scores or adds them to the lists. Returns whether a list is full.
template <class Products> __device__ bool take_scores(const TopkSearch& search, const Scanned& output,
                                                      const float* query_scales, KeyLists<threads>& best,
                                                      const Products& products, const float (&sums)[Products::sums],
                                                      int64_t first_item, int left) {
  bool full = false;
  if (!products.owns_results()) return full;
#pragma unroll
  for (int i = 0; i < Products::results; i++) {
    const auto [row, q] = products.pair(i);
    if (row >= left || q >= search.queries.count) continue;
    const auto item = static_cast<int32_t>(first_item + row);
    const float item_scale = search.items.scale ? search.items.scale[item] : 1;
    const float score =
        final_score(sums[i], query_scales[q], item_scale, search.item_bias ? search.item_bias[item] : 0);
    if (output.scores) {
      output.scores[q * output.stride + item] = may_find(search, q, item) ? score : -INFINITY;
      continue;
    }
    const TopkKey key = topk_key(score, item);
    if (score > -INFINITY && best.accepts(q, key) && may_find(search, q, item)) full |= best.add(q, key);
  }
  return full;
}

// Compares every item with every query. Grid: plan.blocks. Dynamic shared memory: the panel of the queries, then
// KeyLists if plan.lists.
template <class Products> __global__ void __launch_bounds__(threads, Products::blocks_per_multiprocessor)
    scan_kernel(const TopkSearch search, const ScanPlan plan, const Scanned output) {
  using Element = typename Products::Element;
  constexpr int round = warps * Products::rows;
  extern __shared__ float4 shared[];
  __shared__ float query_scales[Products::queries];
  auto* panel = reinterpret_cast<Element*>(shared);
  KeyLists<threads> best(panel + Products::queries * Products::stride(plan.panel_columns),
                         plan.lists ? search.queries.count : 0, plan.capacity, round, search.k);
  scan::load_panel<Products>(search.queries, 0, plan.panel_columns, panel);
  for (int q = threadIdx.x; q < search.queries.count; q += threads)
    query_scales[q] = search.queries.scale ? search.queries.scale[q] : 1;
  __syncthreads();

  const int64_t items = search.items.count, first_round = int64_t{blockIdx.x} * round;
  for (int64_t begin = first_round; begin < items; begin += int64_t{gridDim.x} * round) {
    const int64_t first_item = begin + threadIdx.x / 32 * Products::rows;
    const scan::WarpRows<Element> rows{
        static_cast<const Element*>(search.items.rows) + first_item * search.items.stride, search.items.stride,
        static_cast<int>(max(min(items - first_item, int64_t{round}), int64_t{0}))};
    Products products;
    float sums[Products::sums] = {};
    multiply<Products>(search.queries, rows, plan.panel_columns, panel, sums);
    products.finish(sums);
    const bool full = take_scores(search, output, query_scales, best, products, sums, first_item, rows.left);
    if (plan.lists) best.end_round(full || begin == first_round);  // the first cut finds a threshold
  }

  if (!plan.lists) return;
  best.cut();
  const int k = static_cast<int>(search.k);
  for (int i = threadIdx.x; i < best.lists * k; i += threads)
    output.keys[(int64_t{i / k} * gridDim.x + blockIdx.x) * k + i % k] = best.key(i / k, i % k);
}

template <class Products>
void run(GpuBackend& backend, const TopkSearch& search, const ScanPlan& plan, const Scanned& output) {
  const auto kernel = scan_kernel<Products>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(plan.shared_bytes)),
        "topk: shared memory");
  kernel<<<plan.blocks, threads, plan.shared_bytes, backend.stream()>>>(search, plan, output);
  check_launch("topk: scan");
}

using Launch = decltype(&run<scan::Fp32Products<float, 1>>);

template <class Vector> Launch fp32_scan(int queries) {
  using scan::Fp32Products;
  return queries == 1   ? run<Fp32Products<Vector, 1>>
         : queries == 4 ? run<Fp32Products<Vector, 4>>
                        : run<Fp32Products<Vector, 16>>;
}

template <class Element> Launch tensor_scan(int queries) {
  using scan::TensorProducts;
  return queries == 8 ? run<TensorProducts<Element, 1>> : run<TensorProducts<Element, 2>>;
}

// The widest reads for which every row is aligned.
Launch launch_of(const TopkOperand& items, int queries) {
  if (items.element == TopkElement::fp16) return tensor_scan<__half>(queries);
  if (items.element == TopkElement::bf16) return tensor_scan<__nv_bfloat16>(queries);
  const auto aligned = [&](int vector) {
    return reinterpret_cast<uintptr_t>(items.rows) % (4 * vector) == 0 && items.stride % vector == 0 &&
           items.columns % vector == 0;
  };
  return aligned(4) ? fp32_scan<float4>(queries) : aligned(2) ? fp32_scan<float2>(queries) : fp32_scan<float>(queries);
}

}  // namespace

void topk_scan(GpuBackend& backend, const TopkSearch& search, const ScanPlan& plan, void* workspace) {
  const auto launch = launch_of(search.items, plan.queries);
  if (plan.lists) {
    auto* keys = static_cast<TopkKey*>(workspace);
    launch(backend, search, plan, {.keys = keys});
    topk_merge(backend, keys, search.queries.count, plan.blocks, search.k, search.found);
  } else {
    const int64_t rows = search.queries.count, stride = score_stride(search.items.count);
    auto* scores = static_cast<float*>(workspace);
    float* state = scores + rows * stride;
    auto* best = reinterpret_cast<TopkKey*>(state) + plan.select.state_bytes / sizeof(TopkKey);
    launch(backend, search, plan, {.scores = scores, .stride = stride});
    select_best(backend, search, {.scores = scores, .stride = stride, .rows = rows, .columns = search.items.count},
                plan.select, state, nullptr, best);
    sort_keys(backend, best, best + rows * search.k, search.found);
  }
}

}  // namespace sartor::cuda
