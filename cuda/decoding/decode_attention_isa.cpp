// Compiled once per instruction set (SARTOR_ISA); everything except the table at the end is local to this file.
#include "core/vectors_isa.h"
#include "decoding/decode_attention_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int block_vectors = cache_block / width;
#ifdef __AVX512F__
constexpr int tile_queries = 6;
constexpr int tile_sums = 24;  // of 32 registers
#else
constexpr int tile_queries = 3;
constexpr int tile_sums = 12;  // of 16 registers
#endif
constexpr int column_vectors = 4;  // vectors of an output that are summed at a time

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// ---- cache ----

template <class T> T* key_block(const PagedCache& cache, int32_t block, int64_t head) {
  return static_cast<T*>(cache.keys) + (block * cache.kv_heads + head) * cache.d * cache_block;
}
template <class T> T* value_block(const PagedCache& cache, int32_t block, int64_t head) {
  return static_cast<T*>(cache.values) + (block * cache.kv_heads + head) * cache.d * cache_block;
}

template <class From, class To>
void append(const CacheTask& task, int64_t row, const int32_t* blocks, int64_t position) {
  const auto& cache = task.cache;
  const int64_t slot = position % cache_block;
  const int32_t block = blocks[position / cache_block];
  for (int64_t head = 0; head < cache.kv_heads; head++) {
    const From *k = static_cast<const From*>(task.k) + row * task.k_stride + head * cache.d,
               *v = static_cast<const From*>(task.v) + row * task.v_stride + head * cache.d;
    To *keys = key_block<To>(cache, block, head) + slot, *values = value_block<To>(cache, block, head) + slot * cache.d;
    for (int64_t c = 0; c < cache.d; c += width) {
      const int64_t count = least(cache.d - c, width);
      To part[width];
      store(part, load_part(k + c, count));
      for (int64_t i = 0; i < count; i++) keys[(c + i) * cache_block] = part[i];
      store_part(values + c, load_part(v + c, count), count);
    }
  }
}

// ---- queries ----

int64_t group_of(const DecodeQueries& of) { return of.task->heads / of.task->cache.kv_heads; }

// Number of keys of a part that query `i` sees; 0 or less if there are none.
int64_t seen_keys(const DecodeQueries& of, int64_t group, int64_t part, int64_t i) {
  const int64_t position = of.first + (of.first_query + i) / group;
  return least(position + 1 - part * decode_part, decode_part);
}

// Calls use(element of q or out, query).
template <class T, class Use> void each_query(const DecodeQueries& of, T* rows, int64_t stride, const Use& use) {
  const int64_t group = group_of(of);
  for (int64_t i = 0; i < of.count; i++) {
    const int64_t query = of.first_query + i, head = of.kv_head * group + query % group;
    use(rows + (of.first_row + query / group) * stride + head * of.task->cache.d, i);
  }
}

template <class T> void load_queries(const DecodeQueries& of, float* q) {
  const int64_t d = of.task->cache.d, wide = decode_query_floats(d);
  const Vector scale = broadcast(of.task->scale);
  each_query(of, static_cast<const T*>(of.task->q), of.task->q_stride, [&](const T* row, int64_t i) {
    for (int64_t c = 0; c < d; c += width) store(q + i * wide + c, load_part(row + c, d - c) * scale);
  });
}

// ---- scores ----

// Scores of `queries` queries and `blocks` blocks; each is a sum over d in ascending order. Requests the values of the
// blocks from memory, which are used next: blocks are too short for the CPU's own prefetching.
template <class T, int queries, int blocks>
[[gnu::always_inline]] inline void score_blocks(const T* const (&keys)[blocks], const T* const (&values)[blocks],
                                                const float* q, int64_t d, float* scores) {
  const int64_t wide = decode_query_floats(d);
  Vector sums[queries][blocks][block_vectors] = {};
  for (int64_t c = 0; c < d; c++) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; b++) {
      __builtin_prefetch(values[b] + c * cache_block, 0, 2);
#pragma GCC unroll 2
      for (int v = 0; v < block_vectors; v++) {
        const Vector k = load(keys[b] + c * cache_block + v * width);
#pragma GCC unroll 8
        for (int i = 0; i < queries; i++) {
          sums[i][b][v] = multiply_add(broadcast(q[i * wide + c]), k, sums[i][b][v]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < queries; i++) {
#pragma GCC unroll 8
    for (int b = 0; b < blocks; b++) {
#pragma GCC unroll 2
      for (int v = 0; v < block_vectors; v++) {
        store(scores + i * decode_part + b * cache_block + v * width, sums[i][b][v]);
      }
    }
  }
}

// Keys of one sequence and head in a part.
struct PartOfCache {
  const PagedCache& cache;
  int64_t head;
  const int32_t* blocks;
};

// The same for the blocks first to end - 1; the scores of up to `blocks` - 1 further blocks are overwritten.
template <class T, int queries, int blocks>
void score_some(const PartOfCache& part, int64_t first, int64_t end, const float* q, float* scores) {
  const T *keys[blocks], *values[blocks];
  for (int b = 0; b < blocks; b++) {
    const int32_t block = part.blocks[least(first + b, end - 1)];
    keys[b] = key_block<T>(part.cache, block, part.head);
    values[b] = value_block<T>(part.cache, block, part.head);
  }
  score_blocks<T, queries, blocks>(keys, values, q, part.cache.d, scores + first * cache_block);
}

template <class T, int queries>
void score_tile(const PartOfCache& part, int64_t blocks, const float* q, float* scores) {
  // enough independent sums to hide the latency of an addition, if registers allow
  constexpr int fitting = tile_sums / queries / block_vectors, most = fitting >= 8 ? 8 : fitting >= 4 ? 4 : 2;
  int64_t block = 0;
  for (; block + most / 2 < blocks; block += most) score_some<T, queries, most>(part, block, blocks, q, scores);
  if (block < blocks) score_some<T, queries, most / 2>(part, block, blocks, q, scores);
}

// ---- softmax ----

// Replaces the first `keys` scores by exp(score - their maximum).
void exponentials(float* scores, int64_t keys, float* most, float* total) {
  const int64_t wide = (keys + width - 1) / width * width;
  if (keys < wide) {
    float* last = scores + wide - width;
    const Integers kept = indices() < Integers{} + static_cast<int>(keys - (wide - width));
    store(last, kept ? load(last) : broadcast(-__builtin_inff()));
  }
  Vector tops = load(scores);
  for (int64_t j = width; j < wide; j += width) {
    const Vector x = load(scores + j);
    tops = x > tops ? x : tops;
  }
  *most = largest(tops);
  Vector sums = {};
  for (int64_t j = 0; j < wide; j += width) {
    const Vector e = exp_negative(load(scores + j) - broadcast(*most));
    sums += e;
    store(scores + j, e);
  }
  *total = sum(sums);
}

// ---- values ----

// Adds the values of keys first to end - 1, in ascending order, to `vectors` vectors of the outputs of `queries`
// queries. If not `whole`, the last vector has `left` elements. Requests the keys of the next head from memory.
template <class T, int queries, int vectors, bool whole>
[[gnu::always_inline]] inline void add_columns(const PartOfCache& part, int64_t first, int64_t end, const float* e,
                                               int64_t column, int64_t left, float* out, int64_t out_stride) {
  Vector sums[queries][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < queries; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sums[i][v] = load(out + i * out_stride + v * width);
  }
  for (int64_t key = first; key < end;) {
    const int64_t stop = least((key / cache_block + 1) * cache_block, end);
    const int32_t block = part.blocks[key / cache_block];
    const int64_t place = key % cache_block * part.cache.d + column;
    const T* value = value_block<T>(part.cache, block, part.head) + place;
    const T* later = key_block<T>(part.cache, block, part.head + 1) + place;
    for (; key < stop; key++, value += part.cache.d, later += part.cache.d) {
      Vector right[vectors];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) {
        __builtin_prefetch(later + v * width, 0, 2);
        right[v] = whole || v + 1 < vectors ? load(value + v * width) : load_part(value + v * width, left);
      }
#pragma GCC unroll 8
      for (int i = 0; i < queries; i++) {
        const Vector weight = broadcast(e[i * decode_part + key]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sums[i][v] = multiply_add(weight, right[v], sums[i][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < queries; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) store(out + i * out_stride + v * width, sums[i][v]);
  }
}

template <class T, int queries>
void add_values(const PartOfCache& part, int64_t first, int64_t end, const float* e, float* out, int64_t out_stride) {
  const int64_t d = part.cache.d;
  int64_t column = 0;
  for (; column + column_vectors * width <= d; column += column_vectors * width) {
    add_columns<T, queries, column_vectors, true>(part, first, end, e, column, width, out + column, out_stride);
  }
  for (; column + width <= d; column += width) {
    add_columns<T, queries, 1, true>(part, first, end, e, column, width, out + column, out_stride);
  }
  if (column < d) {
    add_columns<T, queries, 1, false>(part, first, end, e, column, d - column, out + column, out_stride);
  }
}

// ---- attention ----

// Calls use(Count<n>(), first query) for tiles of at most `most` queries, of almost equal sizes.
template <int n> struct Count {};
template <int most, class Use> void with_count(int64_t count, const Use& use) {
  if constexpr (most > 1) {
    if (count < most) return with_count<most - 1>(count, use);
  }
  use(Count<most>());
}
template <int most, class Use> void each_tile(int64_t queries, const Use& use) {
  const int64_t tiles = (queries + most - 1) / most;
  for (int64_t tile = 0, first = 0; tile < tiles; tile++) {
    const int64_t count = (queries - first) / (tiles - tile);
    with_count<most>(count, [&](auto n) { use(n, first); });
    first += count;
  }
}

template <class T, int queries> void attend_tile(const DecodeQueries& of, const PartOfCache& part, const int64_t* seen,
                                                 const float* q, float* scores, float* state) {
  const int64_t d = of.task->cache.d, wide = decode_query_floats(d), stride = decode_state_floats(d);
  score_tile<T, queries>(part, (seen[queries - 1] + cache_block - 1) / cache_block, q, scores);
  for (int i = 0; i < queries; i++) {
    float* row = state + i * stride;
    for (int64_t c = 0; c < wide; c += width) store(row + c, Vector{});
    if (seen[i] > 0) exponentials(scores + i * decode_part, seen[i], row + wide, row + wide + 1);
  }
  const int64_t shared = seen[0] > 0 ? seen[0] : 0;  // keys that all queries see
  add_values<T, queries>(part, 0, shared, scores, state, stride);
  for (int i = 0; i < queries; i++) {
    if (seen[i] > shared) add_values<T, 1>(part, shared, seen[i], scores + i * decode_part, state + i * stride, stride);
  }
}

template <class T> void attend(const DecodeQueries& of, int64_t part, const float* q, float* scores, DecodeState to) {
  const int64_t d = of.task->cache.d, group = group_of(of);
  const PartOfCache keys = {of.task->cache, of.kv_head, of.blocks + part * (decode_part / cache_block)};
  int64_t seen[decode_queries], begin = 0;
  for (int64_t i = 0; i < of.count; i++) {
    seen[i] = seen_keys(of, group, part, i);
    begin += seen[i] <= 0;
  }
  each_tile<tile_queries>(of.count - begin, [&]<int n>(Count<n>, int64_t tile) {
    const int64_t i = begin + tile;
    attend_tile<T, n>(of, keys, seen + i, q + i * decode_query_floats(d), scores, to.rows + i * decode_state_floats(d));
  });
}

void merge(const DecodeQueries& of, int64_t part, DecodeState by_part, DecodeState to) {
  const int64_t d = of.task->cache.d, wide = decode_query_floats(d), stride = decode_state_floats(d);
  const int64_t group = group_of(of);
  for (int64_t i = 0; i < of.count; i++) {
    if (seen_keys(of, group, part, i) <= 0) continue;
    const float* from = by_part.rows + i * stride;
    float* row = to.rows + i * stride;
    const float top = row[wide] > from[wide] ? row[wide] : from[wide];
    const Vector before = exp_negative(broadcast(row[wide] - top)), now = exp_negative(broadcast(from[wide] - top));
    for (int64_t c = 0; c < wide; c += width) {
      store(row + c, multiply_add(load(from + c), now, load(row + c) * before));
    }
    const Vector total = multiply_add(broadcast(from[wide + 1]), now, broadcast(row[wide + 1]) * before);
    row[wide] = top;
    row[wide + 1] = total[0];
  }
}

template <class T> void write_outputs(const DecodeQueries& of, DecodeState from) {
  const int64_t d = of.task->cache.d, wide = decode_query_floats(d), stride = decode_state_floats(d);
  each_query(of, static_cast<T*>(of.task->out), of.task->out_stride, [&](T* row, int64_t i) {
    const float* state = from.rows + i * stride;
    const Vector factor = broadcast(1 / state[wide + 1]);
    for (int64_t c = 0; c < d; c += width) store_part(row + c, load(state + c) * factor, d - c);
  });
}

// Dispatch by element type. The table must not contain lambdas, because their symbols are weak.
void append_any(const CacheTask& task, int64_t row, const int32_t* blocks, int64_t position) {
  const bool from_fp32 = task.store == Store::fp32;
  if (task.cache.store == Store::fp32) {
    from_fp32 ? append<float, float>(task, row, blocks, position) : append<Bf16, float>(task, row, blocks, position);
  } else {
    from_fp32 ? append<float, Bf16>(task, row, blocks, position) : append<Bf16, Bf16>(task, row, blocks, position);
  }
}
void load_any(const DecodeQueries& of, float* q) {
  of.task->store == Store::fp32 ? load_queries<float>(of, q) : load_queries<Bf16>(of, q);
}
void attend_any(const DecodeQueries& of, int64_t part, const float* q, float* scores, DecodeState to) {
  of.task->cache.store == Store::fp32 ? attend<float>(of, part, q, scores, to) : attend<Bf16>(of, part, q, scores, to);
}
void finish_any(const DecodeQueries& of, DecodeState from) {
  of.task->store == Store::fp32 ? write_outputs<float>(of, from) : write_outputs<Bf16>(of, from);
}

}  // namespace

extern const DecodeAttentionKernels decode_attention_kernels = {append_any, load_any, attend_any, merge, finish_any};

}  // namespace sartor::cuda::SARTOR_ISA
