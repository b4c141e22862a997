#include "similarity/topk_fused.cuh"

#include "similarity/topk_masks.cuh"
#include "similarity/topk_merge.cuh"

namespace sartor::cuda {
namespace {

using namespace fused;

// A block holds the queries of one tile and walks over the item tiles of one range. Tiles of columns come through a
// pipeline of asynchronous copies; tensor cores make 128 x 128 sums in registers, which become scores there. Each query
// has a threshold, a lower bound of its k-th best score, and a list of candidates above it; a list that is full is cut
// to its k best, which raises the threshold. So scores never leave the chip, and later tiles have few candidates. What
// is found does not depend on the order in which candidates arrive. At the end k keys per query and range are written.
struct Arguments {
  TopkSearch search;
  FusedPlan plan;
  bool aligned;      // all rows to 16 bytes
  int column_tiles;  // tiles of column_bytes, at least 1
  TopkKey* keys;     // (queries, splits, k)
};

// Shared memory of a block.
struct Shared {
  char* queries;                  // (column_tiles or, if the queries do not stay, stages) tiles
  char* items;                    // (stages) tiles
  float *scale, *bias;            // (stages, item_tile), valid in the last stage of an item tile
  TopkKey* lists;                 // (query_tile, capacity) candidates, in no order
  uint32_t* excluded;             // (query_tile, item_tile / 32) bits of the items of this tile
  TopkKey* thresholds;            // (query_tile) k candidates so far are above or equal
  const int32_t** next_excluded;  // (query_tile) ids beyond this tile
  int* left_excluded;             // (query_tile) their number
  int* counts;                    // (query_tile) candidates, with those that found no room
  float* query_scale;             // (query_tile)

  __device__ Shared(char* memory, const Arguments& arguments) {
    const FusedPlan& plan = arguments.plan;
    const int rows = plan.query_tile;
    const auto take = [&]<class T>(T*& array, int count) {
      array = reinterpret_cast<T*>(memory);
      memory += count * sizeof(T);
    };
    take(queries, rows * column_bytes * (plan.resident ? arguments.column_tiles : plan.stages));
    take(items, item_tile * column_bytes * plan.stages);
    take(scale, item_tile * plan.stages);
    take(bias, item_tile * plan.stages);
    take(lists, rows * plan.capacity);
    take(excluded, rows * item_tile / 32);
    take(thresholds, rows);
    take(next_excluded, rows);
    take(left_excluded, rows);
    take(counts, rows);
    take(query_scale, rows);
  }
};

// Appends the candidates among the `pending` scores, bits b + 2 h of group i, to the lists, or only the best of each
// row. Those that were not tried or find no room remain pending. Returns whether there are any. `first`: item of the
// tile's first column.
template <int row_groups> __device__ bool append(const WarpTile<row_groups>& tile, const Shared& shared, int capacity,
                                                 int32_t first, bool exclusions, bool only_best,
                                                 uint32_t (&pending)[row_groups]) {
  const int item = tile.item(0), warp = item / warp_items;
  uint32_t any = 0;
#pragma unroll
  for (int i = 0; i < row_groups; i++) {
    uint32_t left = 0;
#pragma unroll
    for (int h = 0; h < 2 && pending[i]; h++) {
      const int q = tile.row(i, h);
      const TopkKey threshold = shared.thresholds[q];
      const float least = topk_score(threshold), most = tile.best(i, h);
      if (!(most >= least)) continue;
      uint32_t all = pending[i] >> 2 * h & tile.row_bits;
      if (exclusions) all &= ~(shared.excluded[q * warps_across + warp] >> item % warp_items);
      uint32_t bits = all & tile.hits(i, h, only_best ? most : least);
      if (only_best) left |= (all & ~bits) << 2 * h;
      for (; bits; bits &= bits - 1) {
        const int b = __ffs(bits) - 1;
        const TopkKey key = topk_key(tile.score(i, h, b), first + item + b);
        if (key <= threshold) continue;
        const int place = atomicAdd(shared.counts + q, 1);
        if (place < capacity)
          shared.lists[q * capacity + place] = key;
        else
          left |= 1u << b << 2 * h;
      }
    }
    pending[i] = left;
    any |= left;
  }
  return any;
}

// A warp moves the k best of n > k keys to the front and returns a threshold that just these are not below. All keys
// are above `threshold`. Determines the new one's bits, from the highest in which keys differ, until it tells k apart.
__device__ TopkKey keep_best(TopkKey* list, int n, int k, TopkKey threshold) {
  const int lane = threadIdx.x % 32;
  const auto key = [&](int i) { return i < n ? list[i] : 0; };
  const TopkKey own = key(lane);  // most lists have no more than 32
  TopkKey differ = own ? own ^ threshold : 0;
  for (int i = 32 + lane; i < n; i += 32) differ |= list[i] ^ threshold;
  const uint32_t high = __reduce_or_sync(~0u, static_cast<uint32_t>(differ >> 32));
  const int top = high ? 63 - __clz(high) : 31 - __clz(__reduce_or_sync(~0u, static_cast<uint32_t>(differ)));

  TopkKey result = threshold >> top >> 1 << top << 1;
  for (TopkKey bit = TopkKey{1} << top; bit; bit >>= 1) {
    const TopkKey trial = result | bit;
    int above = __popc(__ballot_sync(~0u, own >= trial));
    for (int first = 32; first < n; first += 32) above += __popc(__ballot_sync(~0u, key(first + lane) >= trial));
    if (above >= k) result = trial;
    if (above == k) break;
  }
  int kept = 0;
  for (int first = 0; first < n; first += 32) {
    const TopkKey candidate = first == 0 ? own : key(first + lane);
    const uint32_t keep = __ballot_sync(~0u, candidate >= result && candidate > 0);
    __syncwarp();
    if (keep >> lane & 1) list[kept + __popc(keep & ((1u << lane) - 1))] = candidate;
    kept += __popc(keep);
  }
  return result;
}

// Cuts the lists of more than `most` candidates to the k best. Between two barriers.
__device__ void cut(const Shared& shared, int query_tile, int capacity, int k, int most) {
  const int lane = threadIdx.x % 32, rows = query_tile / (threads / 32), first = threadIdx.x / 32 * rows;
  int count = 0;
  if (lane < rows) shared.counts[first + lane] = count = min(shared.counts[first + lane], capacity);
  for (uint32_t waiting = __ballot_sync(~0u, count > most); waiting; waiting &= waiting - 1) {
    const int list = __ffs(waiting) - 1, q = first + list, n = __shfl_sync(~0u, count, list);
    const TopkKey threshold = keep_best(shared.lists + q * capacity, n, k, shared.thresholds[q]);
    __syncwarp();
    if (lane > 0) continue;
    shared.counts[q] = k;
    shared.thresholds[q] = threshold;
  }
}

// Sets the bits of query `row`'s exclusions among the items from `first` to `end` and steps over them.
__device__ void walk_exclusions(const Shared& shared, int row, int64_t first, int64_t end) {
  uint32_t* bits = shared.excluded + row * item_tile / 32;
  *reinterpret_cast<uint4*>(bits) = {0, 0, 0, 0};
  const int32_t* next = shared.next_excluded[row];
  int left = shared.left_excluded[row];
  for (; left > 0 && *next < end; next++, left--) {
    const auto item = static_cast<int>(*next - first);
    bits[item / 32] |= 1u << item % 32;
  }
  shared.next_excluded[row] = next;
  shared.left_excluded[row] = left;
}

// First id that is not below `least` of an ascending list.
__device__ const int32_t* lower_bound(const int32_t* begin, const int32_t* end, int64_t least) {
  while (begin < end) {
    const int32_t* middle = begin + (end - begin) / 2;
    *middle < least ? begin = middle + 1 : end = middle;
  }
  return begin;
}

__device__ void start_queries(const Shared& shared, const Arguments& arguments, int64_t first_query,
                              int64_t first_item) {
  const auto& [search, plan, aligned, column_tiles, keys] = arguments;
  for (int row = threadIdx.x; row < plan.query_tile; row += threads) {
    const int64_t q = first_query + row;
    const bool real = q < search.queries.count;
    shared.counts[row] = 0;
    shared.thresholds[row] = real ? topk_key(-INFINITY, 0) : ~TopkKey{0};  // above: scores above -inf, or nothing
    shared.query_scale[row] = real && search.queries.scale ? search.queries.scale[q] : 1;
    if (search.excluded.rows == 0) continue;
    const int32_t *next = search.excluded.ids, *end = next;
    if (real) {
      end = next + search.excluded.offsets[q + 1];
      next = lower_bound(next + search.excluded.offsets[q], end, first_item);
    }
    shared.next_excluded[row] = next;
    shared.left_excluded[row] = static_cast<int>(end - next);
  }
  for (int i = threadIdx.x; i < plan.stages * item_tile; i += threads) {
    if (!search.items.scale) shared.scale[i] = 1;
    if (!search.item_bias) shared.bias[i] = 0;
  }
}

// The tiles of columns of one item tile after another, copied to the stages ahead of their use.
template <int query_tile> struct Pipeline {
  const Arguments& arguments;
  const Shared& shared;
  int end_tile;   // of the items
  int stage = 0;  // in use

  __device__ static int64_t first_query() { return int64_t{blockIdx.x} * query_tile; }

  __device__ void start(int tile) {
    const auto& [search, plan, aligned, column_tiles, keys] = arguments;
    if (plan.resident) {
      for (int c = 0; c < column_tiles; c++) copy_queries(shared.queries + c * query_tile * column_bytes, c);
    }
    for (int s = 0; s < plan.stages - 1; s++) copy(tile, s, s);
  }

  // Waits for a tile of columns and reuses the stage before it.
  __device__ void wait(int tile, int column_tile) {
    const int ahead = arguments.plan.stages - 1;
    ahead == 2 ? wait_for_copies<1>() : wait_for_copies<2>();
    __syncthreads();
    copy(tile, column_tile + ahead, stage == 0 ? ahead : stage - 1);
  }

  __device__ void step() { stage = stage == arguments.plan.stages - 1 ? 0 : stage + 1; }

  // Starts the copy of a tile of columns; those beyond the last are of the item tiles after `tile`.
  __device__ void copy(int tile, int column_tile, int to) {
    const auto& [search, plan, aligned, column_tiles, keys] = arguments;
    for (; column_tile >= column_tiles; column_tile -= column_tiles) tile++;
    if (tile < end_tile) {
      const int64_t first = int64_t{tile} * item_tile;
      copy_tile<item_tile>(shared.items + to * item_tile * column_bytes, search.items, first,
                           int64_t{column_tile} * column_bytes, aligned);
      if (!plan.resident) copy_queries(shared.queries + to * query_tile * column_bytes, column_tile);
      if (column_tile == column_tiles - 1) {
        threadIdx.x < item_tile ? copy_of_items(shared.scale + to * item_tile, search.items.scale, first)
                                : copy_of_items(shared.bias + to * item_tile, search.item_bias, first);
      }
    }
    commit_copies();
  }

  __device__ void copy_queries(char* to, int c) {
    copy_tile<query_tile>(to, arguments.search.queries, first_query(), int64_t{c} * column_bytes, arguments.aligned);
  }

  __device__ void copy_of_items(float* to, const float* from, int64_t first) {
    if (!from) return;
    const int i = threadIdx.x % item_tile;
    const bool real = first + i < arguments.search.items.count;
    copy_async_4(to + i, real ? from + first + i : from, real ? 4 : 0);
  }
};

// Bits of 32 items: those that exist and that the bitsets allow.
__device__ uint32_t open_bits(const TopkSearch& search, int64_t first) {
  const int64_t left = search.items.count - first;
  if (left <= 0) return 0;
  return open_items(search, first / 32) & (left < 32 ? (1u << left) - 1 : ~0u);
}

// Computes the scores of item tile `index`.
template <class Kind, int row_groups> __device__ WarpTile<row_groups> score_tile(const Arguments& arguments,
                                                                                 const Shared& shared, int index,
                                                                                 Pipeline<32 * row_groups>& pipeline) {
  using Tile = WarpTile<row_groups>;
  const auto& [search, plan, aligned, column_tiles, keys] = arguments;
  const int64_t first = int64_t{index} * item_tile, row_bytes = search.items.columns * bytes_of(search.items.element);
  const bool exclusions = search.excluded.rows > 0;
  Tile tile = {};
  for (int c = 0; c < column_tiles; c++) {
    if (c > 0) pipeline.step();
    pipeline.wait(index, c);
    if (exclusions && c == column_tiles - 1 && threadIdx.x < Tile::query_tile)
      walk_exclusions(shared, threadIdx.x, first, first + item_tile);
    const char* query_tile = shared.queries + (plan.resident ? c : pipeline.stage) * Tile::query_tile * column_bytes;
    const uint32_t queries = Tile::address(query_tile, Tile::first_row());
    const uint32_t items = Tile::address(shared.items + pipeline.stage * item_tile * column_bytes, Tile::first_item());
    const auto bytes = static_cast<int>(min(row_bytes - int64_t{c} * column_bytes, int64_t{column_bytes}));
#pragma unroll
    for (int byte = 0; byte < column_bytes; byte += step_bytes) {
      if (byte < bytes) tile.template add<Kind>(queries ^ byte, items ^ byte);
    }
  }
  if (exclusions) __syncthreads();
  const int of_items = pipeline.stage * item_tile;
  tile.finish(shared.query_scale, shared.scale + of_items, shared.bias + of_items,
              open_bits(search, first + Tile::first_item()));
  pipeline.step();
  return tile;
}

// Adds the candidates of a tile to the lists.
template <int row_groups> __device__ void select(const WarpTile<row_groups>& tile, const Arguments& arguments,
                                                 const Shared& shared, int32_t first, bool at_first) {
  const auto& [search, plan, aligned, column_tiles, keys] = arguments;
  const int k = static_cast<int>(search.k);
  // At first there is no threshold. The k-th of the best of 16 parts of each row is a good one for k < 16.
  bool only_best = at_first && k < 16;
  uint32_t pending[row_groups];
#pragma unroll
  for (int i = 0; i < row_groups; i++) pending[i] = tile.row_bits * 5;
  while (__syncthreads_or(append(tile, shared, plan.capacity, first, search.excluded.rows > 0, only_best, pending))) {
    cut(shared, plan.query_tile, plan.capacity, k, only_best ? k : (k + 3 * plan.capacity) / 4);
    only_best = false;
    __syncthreads();
  }
}

__device__ void write_lists(const Arguments& arguments, const Shared& shared, int64_t first_query) {
  const auto& [search, plan, aligned, column_tiles, keys] = arguments;
  const int k = static_cast<int>(search.k);
  const auto rows = static_cast<int>(min(search.queries.count - first_query, int64_t{plan.query_tile}));
  cut(shared, plan.query_tile, plan.capacity, k, k);
  __syncthreads();
  for (int i = threadIdx.x; i < rows * k; i += threads) {
    const int row = i / k, place = i % k;
    keys[((first_query + row) * plan.splits + blockIdx.y) * k + place] =
        place < shared.counts[row] ? shared.lists[row * plan.capacity + place] : 0;
  }
}

// Block (x, y) finds the k best of the items of range y for each query of tile x.
template <class Kind, int row_groups>
__global__ void __launch_bounds__(threads, FusedPlan::blocks(32 * row_groups, std::is_same_v<Kind, ThreeTf32>))
    fused_kernel(const __grid_constant__ Arguments arguments) {
  extern __shared__ __align__(128) char memory[];
  const FusedPlan& plan = arguments.plan;
  const Shared shared(memory, arguments);
  const int begin = static_cast<int>(blockIdx.y) * plan.tiles_per_split;
  const int end = min(begin + plan.tiles_per_split, plan.item_tiles);
  Pipeline<32 * row_groups> pipeline{arguments, shared, end};
  start_queries(shared, arguments, pipeline.first_query(), int64_t{begin} * item_tile);
  pipeline.start(begin);
  for (int i = begin; i < end; i++) {
    const auto tile = score_tile<Kind, row_groups>(arguments, shared, i, pipeline);
    select(tile, arguments, shared, i * item_tile, i == begin);
  }
  write_lists(arguments, shared, pipeline.first_query());
}

template <class Kind, int row_groups> void launch(GpuBackend& backend, const Arguments& arguments) {
  const auto& [search, plan, aligned, column_tiles, keys] = arguments;
  constexpr int query_tile = WarpTile<row_groups>::query_tile;
  const auto kernel = fused_kernel<Kind, row_groups>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(plan.shared_bytes)),
        "topk: shared memory");
  const dim3 grid((search.queries.count + query_tile - 1) / query_tile, plan.splits);
  kernel<<<grid, threads, plan.shared_bytes, backend.stream()>>>(arguments);
  check_launch("topk: fused scores");
}

template <class Kind> void launch(GpuBackend& backend, const Arguments& arguments) {
  arguments.plan.query_tile == 128 ? launch<Kind, 4>(backend, arguments) : launch<Kind, 2>(backend, arguments);
}

void launch(GpuBackend& backend, const Arguments& arguments) {
  switch (arguments.search.items.element) {
    case TopkElement::fp16:
      return launch<__half>(backend, arguments);
    case TopkElement::bf16:
      return launch<__nv_bfloat16>(backend, arguments);
    case TopkElement::fp32:
      return arguments.search.three_products ? launch<ThreeTf32>(backend, arguments) : launch<Tf32>(backend, arguments);
  }
}

bool aligned(const TopkOperand& operand) {
  return (reinterpret_cast<uintptr_t>(operand.rows) | operand.stride * bytes_of(operand.element)) % 16 == 0;
}

}  // namespace

void topk_fused(GpuBackend& backend, const TopkSearch& search, const FusedPlan& plan, void* workspace) {
  auto* keys = static_cast<TopkKey*>(workspace);
  const int64_t row_bytes = search.items.columns * bytes_of(search.items.element);
  const int64_t column_tiles = std::max<int64_t>((row_bytes + column_bytes - 1) / column_bytes, 1);
  for (int64_t first = 0; first < search.queries.count; first += plan.queries_at_a_time) {
    const TopkSearch part = queries_of(search, first, std::min(plan.queries_at_a_time, search.queries.count - first));
    launch(backend, {part, plan, aligned(part.queries) && aligned(part.items), static_cast<int>(column_tiles), keys});
    topk_merge(backend, keys, part.queries.count, plan.splits, part.k, part.found);
  }
}

}  // namespace sartor::cuda
