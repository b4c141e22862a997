#include "core/tensor_cores.cuh"
#include "similarity/topk_masks.cuh"
#include "similarity/topk_merge.cuh"
#include "similarity/topk_search.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = FusedPlan::threads;
constexpr int item_tile = FusedPlan::item_tile;
constexpr int column_bytes = FusedPlan::column_bytes;
constexpr int steps = column_bytes / 32;              // products of fragments per tile: 16 columns, or 8 of 4 bytes
constexpr int warps_across = 4;                       // a warp has a half of the queries and a quarter of the items
constexpr int warp_items = item_tile / warps_across;  // 32, the bits of a word
constexpr int item_groups = warp_items / 8;

struct Arguments {
  TopkSearch search;
  FusedPlan plan;
  bool aligned;      // all rows to 16 bytes
  int column_tiles;  // tiles of column_bytes, at least 1
  TopkKey* keys;     // (queries, splits, k)
};

// Shared memory of a block. Tiles have column_bytes of each row; chunk c of row r is at c ^ r % 8, so that neither the
// copies nor ldmatrix have bank conflicts.
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

// Starts copies of `rows` rows from `first` on, column_bytes of each from byte `column`, in pieces of `piece` bytes.
// What is beyond the operand becomes 0.
template <int rows, int piece>
__device__ void copy_pieces(char* to, const TopkOperand& operand, int64_t first, int64_t column) {
  constexpr int pieces = column_bytes / piece, rows_at_a_time = threads / pieces;
  const int row = threadIdx.x / pieces, byte = threadIdx.x % pieces * piece;
  const int64_t element = bytes_of(operand.element), stride = operand.stride * element;
  const auto present = static_cast<int>(min(operand.count - first, int64_t{rows}));
  const int64_t left = operand.columns * element - column - byte;
  const int bytes = left < 0 ? 0 : left < piece ? static_cast<int>(left) : piece;
  const auto* source = static_cast<const char*>(operand.rows);
  const char* from = source + (first + row) * stride + column + byte;
  to += row * column_bytes + (byte / 16 ^ row % 8) * 16 + byte % 16;
  static_assert(rows_at_a_time % 8 == 0);  // so that the swizzle of later rows is the same
#pragma unroll 4
  for (int r = row; r < rows; r += rows_at_a_time) {
    const bool real = r < present && bytes > 0;
    piece == 16 ? copy_async_16(to, real ? from : source, real ? bytes : 0)
                : copy_async_4(to, real ? from : source, real ? bytes : 0);
    from += rows_at_a_time * stride;
    to += rows_at_a_time * column_bytes;
  }
}

template <int rows>
__device__ void copy_tile(char* to, const TopkOperand& operand, int64_t first, int64_t column, bool aligned) {
  aligned ? copy_pieces<rows, 16>(to, operand, first, column) : copy_pieces<rows, 4>(to, operand, first, column);
}

// Kinds of products besides __half and __nv_bfloat16.
struct Tf32 {};
struct ThreeTf32 {};

// Elements as tensor cores take them: the sum of two numbers for 3xTF32, otherwise `big` alone.
template <int n> struct Fragment { uint32_t big[n], small[n]; };

template <class Kind, int n> __device__ Fragment<n> fragment(const uint32_t (&bits)[n]) {
  Fragment<n> result;
  for (int i = 0; i < n; i++) {
    const float x = __uint_as_float(bits[i]);
    result.big[i] = sizeof(Kind) == 2 ? bits[i] : to_tf32(x);
    if (std::is_same_v<Kind, ThreeTf32>) result.small[i] = to_tf32(x - __uint_as_float(result.big[i]));
  }
  return result;
}

// 3xTF32 (Ootomo and Yokota, 2022): with x = x_big + x_small, whose error is at most 2^-22 |x|, three products leave
// out only x_small y_small, at most 2^-22 |x y|. Both are of the size of fp32's rounding errors, 2^-24 of a partial sum
// at each of d additions. Tensor cores truncate their sums instead of rounding them, an error that would grow with d in
// one direction: so each sums just 8 columns, starting from 0, and the results are added here, rounded to nearest.
template <class Kind> __device__ void multiply(Sums16x8& sums, const Fragment<4>& a, const Fragment<2>& b) {
  if constexpr (std::is_same_v<Kind, ThreeTf32>) {
    Sums16x8 fresh = {};
    multiply_add_tf32(fresh, a.small, b.big);
    multiply_add_tf32(fresh, a.big, b.small);
    multiply_add_tf32(fresh, a.big, b.big);
    for (int i = 0; i < 4; i++) sums[i] += fresh[i];
  } else if constexpr (std::is_same_v<Kind, Tf32>) {
    multiply_add_tf32(sums, a.big, b.big);
  } else {
    multiply_add<Kind>(sums, a.big, b.big);
  }
}

// A warp's part of a tile of scores, 16 row_groups x 32. Thread l has rows l / 4 + 8 h of each group of 16 and columns
// 2 (l % 4) + e of each group of 8: element 2 h + e of a fragment.
template <int row_groups> struct WarpTile {
  static constexpr int query_tile = 32 * row_groups;
  Sums16x8 sums[row_groups][item_groups];

  __device__ static int lane() { return threadIdx.x % 32; }
  __device__ static int first_row() { return threadIdx.x / 32 / warps_across * (query_tile / 2); }
  __device__ static int first_item() { return threadIdx.x / 32 % warps_across * warp_items; }
  __device__ static int row(int i, int h) { return first_row() + 16 * i + 8 * h + lane() / 4; }
  __device__ static int item(int j) { return first_item() + 8 * j + lane() % 4 * 2; }

  // Addresses of this lane's rows in tiles of queries and of items, for ldmatrix. The chunks of step s differ from
  // those of step 0 in the bits 32 s, because tiles are aligned to 128 bytes.
  __device__ static uint32_t query_address(const char* tile) {
    const int l = lane(), row = first_row() + l % 16;
    return shared_address(tile) + row * column_bytes + (l / 16 ^ l % 8) * 16;
  }
  __device__ static uint32_t item_address(const char* tile) {
    const int l = lane(), row = first_item() + l / 16 * 8 + l % 8;
    return shared_address(tile) + row * column_bytes + (l / 8 % 2 ^ l % 8) * 16;
  }

  // sums += products of one step of columns.
  template <class Kind> __device__ void add(uint32_t query_address, uint32_t item_address) {
    Fragment<2> b[item_groups];
#pragma unroll
    for (int j = 0; j < item_groups; j += 2) {
      uint32_t bits[4];
      ldmatrix_x4(bits, item_address + 8 * j * column_bytes);
      b[j] = fragment<Kind>({bits[0], bits[1]});
      b[j + 1] = fragment<Kind>({bits[2], bits[3]});
    }
#pragma unroll
    for (int i = 0; i < row_groups; i++) {
      uint32_t bits[4];
      ldmatrix_x4(bits, query_address + 16 * i * column_bytes);
      const Fragment<4> a = fragment<Kind>(bits);
#pragma unroll
      for (int j = 0; j < item_groups; j++) multiply<Kind>(sums[i][j], a, b[j]);
    }
  }

  // Turns sums into scores: -inf where `open`, bits of this warp's items, is 0.
  __device__ void finish(const float* query_scale, const float* scale, const float* bias, uint32_t open) {
    float factors[row_groups][2];
#pragma unroll
    for (int i = 0; i < row_groups; i++)
#pragma unroll
      for (int h = 0; h < 2; h++) factors[i][h] = query_scale[row(i, h)];
#pragma unroll
    for (int j = 0; j < item_groups; j++) {
      const auto scales = *reinterpret_cast<const float2*>(scale + item(j));
      auto biases = *reinterpret_cast<const float2*>(bias + item(j));
      const uint32_t bits = open >> (item(j) - first_item());
      if (!(bits & 1)) biases.x = -INFINITY;
      if (!(bits & 2)) biases.y = -INFINITY;
#pragma unroll
      for (int i = 0; i < row_groups; i++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
          sums[i][j][2 * h] = final_score(sums[i][j][2 * h], factors[i][h], scales.x, biases.x);
          sums[i][j][2 * h + 1] = final_score(sums[i][j][2 * h + 1], factors[i][h], scales.y, biases.y);
        }
      }
    }
  }

  // The best score of row (i, h); NaN does not count.
  __device__ float best(int i, int h) const {
    float result = -INFINITY;
#pragma unroll
    for (int j = 0; j < item_groups; j++) result = fmaxf(result, fmaxf(sums[i][j][2 * h], sums[i][j][2 * h + 1]));
    return result;
  }

  // Scores of a row are numbered b = 8 j + e: item(0) + b is the item, and bit b of a word stands for it.
  static constexpr uint32_t row_bits = 0x03030303;

  // Those of row (i, h) that are at least `least`.
  __device__ uint32_t hits(int i, int h, float least) const {
    uint32_t bits = 0;
#pragma unroll
    for (int j = 0; j < item_groups; j++) {
      if (sums[i][j][2 * h] >= least) bits |= 1u << 8 * j;
      if (sums[i][j][2 * h + 1] >= least) bits |= 2u << 8 * j;
    }
    return bits;
  }

  __device__ float score(int i, int h, int b) const {
    float of_group[item_groups];
#pragma unroll
    for (int j = 0; j < item_groups; j++) of_group[j] = b & 1 ? sums[i][j][2 * h + 1] : sums[i][j][2 * h];
    return b & 16 ? (b & 8 ? of_group[3] : of_group[2]) : (b & 8 ? of_group[1] : of_group[0]);
  }

  // Appends the candidates among the `pending` scores, bits b + 2 h of group i, to the lists, or only the best of each
  // row. Those that were not tried or find no room remain pending. Returns whether there are any. `first`: item of the
  // tile's first column.
  __device__ bool append(const Shared& shared, int capacity, int32_t first, bool exclusions, bool only_best,
                         uint32_t (&pending)[row_groups]) const {
    const int32_t first_id = first + item(0);
    uint32_t any = 0;
#pragma unroll
    for (int i = 0; i < row_groups; i++) {
      uint32_t left = 0;
#pragma unroll
      for (int h = 0; h < 2 && pending[i]; h++) {
        const int q = row(i, h);
        const TopkKey threshold = shared.thresholds[q];
        const float least = topk_score(threshold), most = best(i, h);
        if (!(most >= least)) continue;
        uint32_t all = pending[i] >> 2 * h & row_bits;
        if (exclusions) all &= ~(shared.excluded[q * warps_across + item(0) / warp_items] >> item(0) % warp_items);
        uint32_t bits = all & hits(i, h, only_best ? most : least);
        if (only_best) left |= (all & ~bits) << 2 * h;
        for (; bits; bits &= bits - 1) {
          const int b = __ffs(bits) - 1;
          const TopkKey key = topk_key(score(i, h, b), first_id + b);
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
};

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

// Copies of the steps of columns of one item tile after another into the stages, ahead of their use.
template <int query_tile> struct Copies {
  const Arguments& arguments;
  const Shared& shared;
  int64_t first_query, first_item, end_item;
  int column_tile = 0, stage = 0;

  __device__ void start_next() {
    const auto& [search, plan, aligned, column_tiles, keys] = arguments;
    if (first_item < end_item) {
      const int64_t column = int64_t{column_tile} * column_bytes;
      copy_tile<item_tile>(shared.items + stage * item_tile * column_bytes, search.items, first_item, column, aligned);
      if (!plan.resident) {
        char* to = shared.queries + stage * query_tile * column_bytes;
        copy_tile<query_tile>(to, search.queries, first_query, column, aligned);
      }
      if (++column_tile == column_tiles) {
        if (threadIdx.x < item_tile) {
          copy_of_items(shared.scale, search.items.scale);
        } else {
          copy_of_items(shared.bias, search.item_bias);
        }
        column_tile = 0;
        first_item += item_tile;
      }
    }
    commit_copies();
    if (++stage == plan.stages) stage = 0;
  }

  __device__ void copy_of_items(float* to, const float* from) {
    if (!from) return;
    const int i = threadIdx.x % item_tile;
    const int64_t item = first_item + i;
    const bool real = item < arguments.search.items.count;
    copy_async_4(to + stage * item_tile + i, real ? from + item : from, real ? 4 : 0);
  }
};

// Bits of this warp's items of the tile that starts at `first`: those that exist and that the bitsets allow.
__device__ uint32_t open_bits(const TopkSearch& search, int64_t first) {
  const int64_t left = search.items.count - first;
  if (left <= 0) return 0;
  const uint32_t real = left < 32 ? (1u << left) - 1 : ~0u;
  return real & open_items(search, first / 32);
}

// Block (x, y) finds the k best of the items of range y for each query of tile x.
template <class Kind, int row_groups> __global__ void __launch_bounds__(threads, 2)
    fused_kernel(const __grid_constant__ Arguments arguments) {
  extern __shared__ __align__(128) char memory[];
  using Tile = WarpTile<row_groups>;
  constexpr int query_tile = Tile::query_tile;
  const auto& [search, plan, aligned, column_tiles, keys] = arguments;
  const Shared shared(memory, arguments);
  const int64_t first_query = int64_t{blockIdx.x} * query_tile;
  const int64_t begin = blockIdx.y * plan.tiles_per_split * item_tile;
  const int64_t end = min(begin + plan.tiles_per_split * item_tile, search.items.count);
  const int k = static_cast<int>(search.k);
  const bool exclusions = search.excluded.rows > 0;
  const int64_t row_bytes = search.items.columns * bytes_of(search.items.element);

  start_queries(shared, arguments, first_query, begin);
  if (plan.resident) {
    for (int c = 0; c < column_tiles; c++) {
      copy_tile<query_tile>(shared.queries + c * query_tile * column_bytes, search.queries, first_query,
                            int64_t{c} * column_bytes, aligned);
    }
  }
  Copies<query_tile> copies{arguments, shared, first_query, begin, end};
  for (int s = 1; s < plan.stages; s++) copies.start_next();

  int stage = 0;
  for (int64_t first = begin; first < end; first += item_tile) {
    Tile tile = {};
    uint32_t open = 0;
    for (int c = 0; c < column_tiles; c++) {
      plan.stages == 3 ? wait_for_copies<1>() : wait_for_copies<2>();
      __syncthreads();
      copies.start_next();
      if (c == column_tiles - 1) {
        open = open_bits(search, first + Tile::first_item());
        if (exclusions && threadIdx.x < query_tile) walk_exclusions(shared, threadIdx.x, first, first + item_tile);
      }
      const uint32_t queries =
          Tile::query_address(shared.queries + (plan.resident ? c : stage) * query_tile * column_bytes);
      const uint32_t items = Tile::item_address(shared.items + stage * item_tile * column_bytes);
      const int64_t left = row_bytes - int64_t{c} * column_bytes;
#pragma unroll
      for (int step = 0; step < steps; step++) {
        if (step * 32 < left) tile.template add<Kind>(queries ^ step * 32, items ^ step * 32);
      }
      if (c < column_tiles - 1 && ++stage == plan.stages) stage = 0;
    }
    if (exclusions) __syncthreads();
    tile.finish(shared.query_scale, shared.scale + stage * item_tile, shared.bias + stage * item_tile, open);
    if (++stage == plan.stages) stage = 0;
    // At first there is no threshold. The k-th of the best of 16 parts of each row is a good one for k < 16.
    bool only_best = first == begin && k < 16;
    uint32_t pending[row_groups];
#pragma unroll
    for (int i = 0; i < row_groups; i++) pending[i] = Tile::row_bits * 5;
    const auto append = [&] {
      return tile.append(shared, plan.capacity, static_cast<int32_t>(first), exclusions, only_best, pending);
    };
    while (__syncthreads_or(append())) {
      cut(shared, query_tile, plan.capacity, k, only_best ? k : (k + 3 * plan.capacity) / 4);
      only_best = false;
      __syncthreads();
    }
  }

  cut(shared, query_tile, plan.capacity, k, k);
  __syncthreads();
  const auto rows = static_cast<int>(min(search.queries.count - first_query, int64_t{query_tile}));
  for (int i = threadIdx.x; i < rows * k; i += threads) {
    const int row = i / k, place = i % k;
    keys[((first_query + row) * gridDim.y + blockIdx.y) * k + place] =
        place < shared.counts[row] ? shared.lists[row * plan.capacity + place] : 0;
  }
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
