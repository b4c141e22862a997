// Compiled once per instruction set (SARTOR_ISA); everything except the table at the end is local to this file.
#include "transformer/attention_kernels.h"

#include "core/vectors_isa.h"
#include "transformer/dropout_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

#ifdef __AVX512F__
constexpr int tile_rows = 8;  // 16 of 32 registers contain sums
#else
constexpr int tile_rows = 4;  // 8 of 16 registers contain sums
#endif
constexpr int query_block = 64;  // queries per block; their scores are in memory at a time

int64_t padded(int64_t n) { return (n + width - 1) / width * width; }

// ---- small products ----

// c (m, n) = a (m, k) b (k, n). Rows of b and c have n elements, a multiple of width; element (i, j) of a is a[i *
// a_row + j * a_column]. If `add`, adds to c.
template <int rows, int vectors>
[[gnu::always_inline]] inline void product_tile(const float* a, int64_t a_row, int64_t a_column, const float* b,
                                                int64_t n, int64_t k, float* c, bool add) {
  Vector sums[rows][vectors] = {};
  for (int64_t j = 0; j < k; j++) {
    Vector right[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) right[v] = load(b + j * n + v * width);
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      const Vector left = broadcast(a[i * a_row + j * a_column]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sums[i][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      float* place = c + i * n + v * width;
      store(place, add ? load(place) + sums[i][v] : sums[i][v]);
    }
  }
}

template <int vectors> void product_columns(const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t n,
                                            int64_t m, int64_t k, float* c, bool add) {
  int64_t i = 0;
  for (; i + tile_rows <= m; i += tile_rows) {
    product_tile<tile_rows, vectors>(a + i * a_row, a_row, a_column, b, n, k, c + i * n, add);
  }
  for (; i + 4 <= m; i += 4) product_tile<4, vectors>(a + i * a_row, a_row, a_column, b, n, k, c + i * n, add);
  for (; i + 2 <= m; i += 2) product_tile<2, vectors>(a + i * a_row, a_row, a_column, b, n, k, c + i * n, add);
  for (; i < m; i++) product_tile<1, vectors>(a + i * a_row, a_row, a_column, b, n, k, c + i * n, add);
}

// Computes the first `columns` columns of c, a multiple of width.
void product(const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t n, int64_t columns, int64_t m,
             int64_t k, float* c, bool add = false) {
  int64_t column = 0;
  for (; column + 2 * width <= columns; column += 2 * width) {
    product_columns<2>(a, a_row, a_column, b + column, n, m, k, c + column, add);
  }
  for (; column < columns; column += width)
    product_columns<1>(a, a_row, a_column, b + column, n, m, k, c + column, add);
}

// ---- rows and tiles ----

template <class T> void load_rows(const T* rows, int64_t stride, int64_t count, int64_t d, float* to) {
  const int64_t wide = padded(d);
  for (int64_t r = 0; r < count; r++) {
    int64_t c = 0;
    for (; c + width <= d; c += width) store(to + r * wide + c, load(rows + r * stride + c));
    if (c < d) store(to + r * wide + c, load_part(rows + r * stride + c, d - c));
  }
}

template <class T> void load_transposed(const T* rows, int64_t stride, int64_t count, int64_t d, float* to) {
  const int64_t wide = padded(count);
  for (int64_t r = 0; r < count; r += width) {
    for (int64_t c = 0; c < d; c += width) {
      Vector block[width];
      for (int64_t i = 0; i < width; i++) {
        const T* row = rows + (r + i) * stride + c;
        block[i] = r + i >= count ? Vector{} : load_part(row, d - c);
      }
      transpose(block);
      for (int64_t i = 0; i < width && c + i < d; i++) store(to + (c + i) * wide + r, block[i]);
    }
  }
}

template <class T> void store_rows(const float* from, int64_t count, int64_t d, float scale, T* rows, int64_t stride) {
  const int64_t wide = padded(d);
  const Vector factor = broadcast(scale);
  for (int64_t r = 0; r < count; r++) {
    int64_t c = 0;
    for (; c + width <= d; c += width) store(rows + r * stride + c, load(from + r * wide + c) * factor);
    if (c < d) store_part(rows + r * stride + c, load(from + r * wide + c) * factor, d - c);
  }
}

// In-place softmax of scale * scores over the first `keys` of `columns`; the others become 0.
void softmax(float* scores, int64_t keys, int64_t columns, float scale) {
  const int64_t wide = padded(keys);
  if (keys < wide) {  // vector store: loading a vector after scalar stores would stall
    float* last = scores + wide - width;
    const Integers kept = indices() < Integers{} + static_cast<int>(keys - (wide - width));
    store(last, kept ? load(last) : broadcast(-__builtin_inff()));
  }
  Vector most = load(scores);
  for (int64_t j = width; j < wide; j += width) {
    const Vector x = load(scores + j);
    most = x > most ? x : most;
  }
  // scale > 0, so the maximum can be scaled afterwards
  const Vector top = broadcast(largest(most) * scale), factor = broadcast(scale);
  Vector total = {};
  for (int64_t j = 0; j < wide; j += width) {
    const Vector e = exp_negative(load(scores + j) * factor - top);
    total += e;
    store(scores + j, e);
  }
  const Vector inverse = broadcast(1 / sum(total));
  for (int64_t j = 0; j < wide; j += width) store(scores + j, load(scores + j) * inverse);
  for (int64_t j = wide; j < columns; j += width) store(scores + j, Vector{});
}

// Scratch memory of one thread. Members after `out` are for the gradient.
struct Scratch {
  float *kt, *v;            // (d, keys), (k_rows, wide)
  float *q, *scores, *out;  // for a block of queries: (block, wide), (block, keys), (block, wide)
  float *k, *vt, *dk, *dv;  // (k_rows, wide), (d, keys), (k_rows, wide) twice
  float *dout, *dscores;    // for a block of queries: (block, wide), (block, keys)

  Scratch(float* memory, int64_t k_rows, int64_t d) {
    const int64_t keys = padded(k_rows), wide = padded(d);
    kt = memory;
    v = kt + d * keys;
    q = v + k_rows * wide;
    scores = q + query_block * wide;
    out = scores + query_block * keys;
    k = out + query_block * wide;
    vt = k + k_rows * wide;
    dk = vt + d * keys;
    dv = dk + k_rows * wide;
    dout = dv + k_rows * wide;
    dscores = dout + query_block * wide;
  }
};

int64_t attention_scratch(int64_t k_rows, int64_t d, bool gradient) {
  const int64_t keys = padded(k_rows), wide = padded(d);
  int64_t floats = d * keys + k_rows * wide + query_block * (wide + keys + wide);
  if (gradient) floats += 3 * k_rows * wide + d * keys + query_block * (wide + keys);
  return padded(floats);
}

// Number of keys visible to query `i`.
int64_t seen_keys(const AttentionHeads& of, int64_t i) { return of.causal ? i + 1 + of.k_rows - of.q_rows : of.k_rows; }

// Queries first to first + rows - 1 of a head. The first `columns` scores are computed, a multiple of width.
struct Block {
  int64_t head, first, rows;
  int64_t keys, columns;  // keys visible to the last query, and rounded up to width
};

// Calls use(block) for all queries of all heads.
template <class Use> void each_block(const AttentionHeads& of, const Use& use) {
  for (int64_t head = 0; head < of.heads; head++) {
    for (int64_t first = 0; first < of.q_rows; first += query_block) {
      const int64_t rows = of.q_rows - first < query_block ? of.q_rows - first : query_block;
      const int64_t keys = seen_keys(of, first + rows - 1);
      use(Block{head, first, rows, keys, padded(keys)});
    }
  }
}

// First row of a block in q, out, or their gradients.
template <class T> T* rows_of(const Block& block, T* all, int64_t stride, int64_t d) {
  return all + block.first * stride + block.head * d;
}

Mask mask_of(const AttentionHeads& of, const Block& block, int64_t row) {
  const uint64_t seed = of.dropout.seed + static_cast<uint64_t>(block.head) * head_seed_step;
  return {{of.dropout.keep, seed}, static_cast<uint64_t>(block.first + row)};
}

template <class T> void attention(const AttentionHeads& of) {
  const int64_t keys = padded(of.k_rows), wide = padded(of.d);
  const Scratch at(of.scratch, of.k_rows, of.d);
  load_transposed(static_cast<const T*>(of.k), of.kv_stride, of.k_rows, of.d, at.kt);
  load_rows(static_cast<const T*>(of.v), of.kv_stride, of.k_rows, of.d, at.v);
  each_block(of, [&](const Block& block) {
    load_rows(rows_of(block, static_cast<const T*>(of.q), of.q_stride, of.d), of.q_stride, block.rows, of.d, at.q);
    product(at.q, wide, 1, at.kt, keys, block.columns, block.rows, of.d, at.scores);
    for (int64_t i = 0; i < block.rows; i++) {
      float* row = at.scores + i * keys;
      softmax(row, seen_keys(of, block.first + i), block.columns, of.scale);
      if (of.dropout.keep < 1) {
        const Mask mask = mask_of(of, block, i);
        for (int64_t j = 0; j < block.columns; j += width) store(row + j, load(row + j) * mask(j));
      }
    }
    product(at.scores, keys, 1, at.v, wide, wide, block.rows, block.keys, at.out);
    store_rows(at.out, block.rows, of.d, 1, rows_of(block, static_cast<T*>(of.out), of.out_stride, of.d),
               of.out_stride);
  });
}

// Replaces p and dp' of a query by p' and ds.
void softmax_backward(float* p, float* dp, int64_t columns, bool drops, const Mask& mask) {
  Vector dot = {};
  for (int64_t j = 0; j < columns; j += width) {
    if (drops) store(dp + j, load(dp + j) * mask(j));
    dot += load(p + j) * load(dp + j);
  }
  const Vector mean = broadcast(sum(dot));
  for (int64_t j = 0; j < columns; j += width) {
    const Vector weight = load(p + j);
    store(dp + j, weight * (load(dp + j) - mean));
    if (drops) store(p + j, weight * mask(j));
  }
}

//   dv = p'^T dout, dp' = dout v^T, dp = dropout(dp'), ds = p (dp - sum_j p dp), dq = scale ds k, dk = scale ds^T q,
// where dk and dv are summed over the heads. Uses `out` of the scratch memory for dq.
template <class T> void attention_backward(const AttentionHeads& of, const AttentionGradient& by) {
  const int64_t keys = padded(of.k_rows), wide = padded(of.d);
  const Scratch at(of.scratch, of.k_rows, of.d);
  load_transposed(static_cast<const T*>(of.k), of.kv_stride, of.k_rows, of.d, at.kt);
  load_rows(static_cast<const T*>(of.k), of.kv_stride, of.k_rows, of.d, at.k);
  load_transposed(static_cast<const T*>(of.v), of.kv_stride, of.k_rows, of.d, at.vt);
  for (int64_t i = 0; i < of.k_rows * wide; i++) at.dk[i] = at.dv[i] = 0;
  each_block(of, [&](const Block& block) {
    const auto [head, first, rows, seen, columns] = block;
    load_rows(rows_of(block, static_cast<const T*>(of.q), of.q_stride, of.d), of.q_stride, rows, of.d, at.q);
    load_rows(rows_of(block, static_cast<const T*>(by.out), by.out_stride, of.d), by.out_stride, rows, of.d, at.dout);
    product(at.q, wide, 1, at.kt, keys, columns, rows, of.d, at.scores);
    product(at.dout, wide, 1, at.vt, keys, columns, rows, of.d, at.dscores);
    for (int64_t i = 0; i < rows; i++) {
      float* p = at.scores + i * keys;
      softmax(p, seen_keys(of, first + i), columns, of.scale);
      softmax_backward(p, at.dscores + i * keys, columns, of.dropout.keep < 1, mask_of(of, block, i));
    }
    product(at.scores, 1, keys, at.dout, wide, wide, seen, rows, at.dv, true);
    product(at.dscores, 1, keys, at.q, wide, wide, seen, rows, at.dk, true);
    product(at.dscores, keys, 1, at.k, wide, wide, rows, seen, at.out);
    store_rows(at.out, rows, of.d, of.scale, rows_of(block, static_cast<T*>(by.q), by.q_stride, of.d), by.q_stride);
  });
  store_rows(at.dk, of.k_rows, of.d, of.scale, static_cast<T*>(by.k), by.kv_stride);
  store_rows(at.dv, of.k_rows, of.d, 1, static_cast<T*>(by.v), by.kv_stride);
}

// Dispatch by element type. The table must not contain lambdas, because their symbols are weak.
void attention_any(const AttentionHeads& of) { of.store == Store::fp32 ? attention<float>(of) : attention<Bf16>(of); }
void attention_backward_any(const AttentionHeads& of, const AttentionGradient& by) {
  of.store == Store::fp32 ? attention_backward<float>(of, by) : attention_backward<Bf16>(of, by);
}

}  // namespace

extern const AttentionKernels attention_kernels = {attention_scratch, attention_any, attention_backward_any};

}  // namespace sartor::cuda::SARTOR_ISA
