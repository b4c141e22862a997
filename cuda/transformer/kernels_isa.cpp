// Compiled once an instruction set (SARTOR_ISA): all but the table at the end is local to the object.
#include "core/vectors_isa.h"
#include "transformer/kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

#ifdef __AVX512F__
constexpr int tile_rows = 8;  // 16 sums of 32 registers
#else
constexpr int tile_rows = 4;  // 8 sums of 16 registers
#endif
constexpr int query_block = 64;  // queries whose scores are held at once

int64_t padded(int64_t n) { return (n + width - 1) / width * width; }

uint64_t mixed(uint64_t x) {  // splitmix64's finaliser
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
Words mixed(Words x) {  // murmur3's finaliser
  x = (x ^ (x >> 16)) * 0x85ebca6b;
  x = (x ^ (x >> 13)) * 0xc2b2ae35;
  return x ^ (x >> 16);
}

// The factors 0 or 1 / keep of one row's elements.
class Mask {
 public:
  Mask(const Dropout& dropout, uint64_t row)
      : scale_(1 / dropout.keep), limit_(static_cast<uint32_t>(static_cast<double>(dropout.keep) * 4294967295.0)) {
    const uint64_t key = mixed(dropout.seed + mixed(row));
    low_ = static_cast<uint32_t>(key);
    high_ = static_cast<uint32_t>(key >> 32);
    for (int i = 0; i < width; i++) lanes_[i] = static_cast<uint32_t>(i);
  }
  Vector operator()(int64_t column) const {
    const Words place = lanes_ + static_cast<uint32_t>(column);
    const Words drawn = mixed(mixed(place ^ low_) ^ high_);
    return drawn < (Words{} + limit_) ? broadcast(scale_) : Vector{};
  }

 private:
  float scale_;
  uint32_t limit_, low_, high_;
  Words lanes_;
};

// ---- small products ----

// c (m, n) = a (m, k) b (k, n): b and c have rows of n = a multiple of width; element (i, j) of a lies at
// a[i * a_row + j * a_column]. `add` adds to c.
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

void product(const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t n, int64_t m, int64_t k, float* c,
             bool add = false) {
  int64_t column = 0;
  for (; column + 2 * width <= n; column += 2 * width) {
    product_columns<2>(a, a_row, a_column, b + column, n, m, k, c + column, add);
  }
  for (; column < n; column += width) product_columns<1>(a, a_row, a_column, b + column, n, m, k, c + column, add);
}

// ---- attention ----

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

// Softmax of scale * scores in place; zero behind the last key.
void softmax(float* scores, int64_t keys, float scale) {
  const int64_t wide = padded(keys);
  if (keys < wide) {  // by a vector: reading one after writing single elements waits for them
    float* last = scores + wide - width;
    const Integers kept = indices() < Integers{} + static_cast<int>(keys - (wide - width));
    store(last, kept ? load(last) : broadcast(-__builtin_inff()));
  }
  Vector most = load(scores);
  for (int64_t j = width; j < wide; j += width) {
    const Vector x = load(scores + j);
    most = x > most ? x : most;
  }
  // the largest times the scale, which is above 0
  const Vector top = broadcast(largest(most) * scale), factor = broadcast(scale);
  Vector total = {};
  for (int64_t j = 0; j < wide; j += width) {
    const Vector e = exp_negative(load(scores + j) * factor - top);
    total += e;
    store(scores + j, e);
  }
  const Vector inverse = broadcast(1 / sum(total));
  for (int64_t j = 0; j < wide; j += width) store(scores + j, load(scores + j) * inverse);
}

// Scratch in order: k^T, v, and for a block of queries q, scores, out; for gradients further
// k, v^T, dk, dv, and for a block dout, dscores.
int64_t attention_scratch(int64_t k_rows, int64_t d, bool gradient) {
  const int64_t keys = padded(k_rows), wide = padded(d);
  int64_t floats = d * keys + k_rows * wide + query_block * (wide + keys + wide);
  if (gradient) floats += 3 * k_rows * wide + d * keys + query_block * (wide + keys);
  return padded(floats);
}

template <class T> void attention(const AttentionHead& head) {
  const int64_t keys = padded(head.k_rows), wide = padded(head.d);
  float* const kt = head.scratch;
  float* const v = kt + head.d * keys;
  float* const q = v + head.k_rows * wide;
  float* const scores = q + query_block * wide;
  float* const out = scores + query_block * keys;
  load_transposed(static_cast<const T*>(head.k), head.kv_stride, head.k_rows, head.d, kt);
  load_rows(static_cast<const T*>(head.v), head.kv_stride, head.k_rows, head.d, v);
  for (int64_t first = 0; first < head.q_rows; first += query_block) {
    const int64_t rows = head.q_rows - first < query_block ? head.q_rows - first : query_block;
    load_rows(static_cast<const T*>(head.q) + first * head.q_stride, head.q_stride, rows, head.d, q);
    product(q, wide, 1, kt, keys, rows, head.d, scores);
    for (int64_t i = 0; i < rows; i++) {
      float* row = scores + i * keys;
      softmax(row, head.k_rows, head.scale);
      if (head.dropout.keep < 1) {
        const Mask mask(head.dropout, static_cast<uint64_t>(first + i));
        for (int64_t j = 0; j < keys; j += width) store(row + j, load(row + j) * mask(j));
      }
    }
    product(scores, keys, 1, v, wide, rows, head.k_rows, out);
    store_rows(out, rows, head.d, 1, static_cast<T*>(head.out) + first * head.out_stride, head.out_stride);
  }
}

//   dv = p'^T dout, dp' = dout v^T, dp = dropout(dp'), ds = p (dp - sum_j p dp), dq = scale ds k, dk = scale ds^T q
template <class T> void attention_backward(const AttentionHead& head, const AttentionGradient& by) {
  const int64_t keys = padded(head.k_rows), wide = padded(head.d);
  float* const kt = head.scratch;
  float* const q = kt + head.d * keys + head.k_rows * wide;
  float* const scores = q + query_block * wide;
  float* const dq = scores + query_block * keys;
  float* const k = dq + query_block * wide;
  float* const vt = k + head.k_rows * wide;
  float* const dk = vt + head.d * keys;
  float* const dv = dk + head.k_rows * wide;
  float* const dout = dv + head.k_rows * wide;
  float* const dscores = dout + query_block * wide;
  load_transposed(static_cast<const T*>(head.k), head.kv_stride, head.k_rows, head.d, kt);
  load_rows(static_cast<const T*>(head.k), head.kv_stride, head.k_rows, head.d, k);
  load_transposed(static_cast<const T*>(head.v), head.kv_stride, head.k_rows, head.d, vt);
  for (int64_t i = 0; i < head.k_rows * wide; i++) dk[i] = dv[i] = 0;
  for (int64_t first = 0; first < head.q_rows; first += query_block) {
    const int64_t rows = head.q_rows - first < query_block ? head.q_rows - first : query_block;
    load_rows(static_cast<const T*>(head.q) + first * head.q_stride, head.q_stride, rows, head.d, q);
    load_rows(static_cast<const T*>(by.out) + first * by.out_stride, by.out_stride, rows, head.d, dout);
    product(q, wide, 1, kt, keys, rows, head.d, scores);
    product(dout, wide, 1, vt, keys, rows, head.d, dscores);
    for (int64_t i = 0; i < rows; i++) {
      float *p = scores + i * keys, *dp = dscores + i * keys;
      softmax(p, head.k_rows, head.scale);
      const bool drops = head.dropout.keep < 1;
      const Mask mask(head.dropout, static_cast<uint64_t>(first + i));
      Vector dot = {};
      for (int64_t j = 0; j < keys; j += width) {
        if (drops) store(dp + j, load(dp + j) * mask(j));
        dot += load(p + j) * load(dp + j);
      }
      const Vector mean = broadcast(sum(dot));
      for (int64_t j = 0; j < keys; j += width) {
        const Vector weight = load(p + j);
        store(dp + j, weight * (load(dp + j) - mean));
        if (drops) store(p + j, weight * mask(j));
      }
    }
    product(scores, 1, keys, dout, wide, head.k_rows, rows, dv, true);
    product(dscores, 1, keys, q, wide, head.k_rows, rows, dk, true);
    product(dscores, keys, 1, k, wide, rows, head.k_rows, dq);
    store_rows(dq, rows, head.d, head.scale, static_cast<T*>(by.q) + first * by.q_stride, by.q_stride);
  }
  store_rows(dk, head.k_rows, head.d, head.scale, static_cast<T*>(by.k), by.kv_stride);
  store_rows(dv, head.k_rows, head.d, 1, static_cast<T*>(by.v), by.kv_stride);
}

// ---- layer normalisation ----

// Calls use(column, count) for a row's whole vectors and what is left over.
template <class Use> void each_vector(int64_t columns, const Use& use) {
  int64_t c = 0;
  for (; c + width <= columns; c += width) use(c, width);
  if (c < columns) use(c, columns - c);
}
// Normalises a row that read(column, count) gives (0 beyond the row), in two passes over its sum: mean, then variance.
template <class T, class Read> void normalise_row(int64_t columns, const Read& read, const float* weight,
                                                  const float* bias, float eps, T* sums, T* normalised, float* mean_out,
                                                  float* rstd_out) {
  Vector total = {};
  each_vector(columns, [&](int64_t c, int64_t count) {
    const Vector x = read(c, count);
    total += x;
    if (sums) store_part(sums + c, x, count);
  });
  const float mean = sum(total) / static_cast<float>(columns);
  Vector squares = {};
  each_vector(columns, [&](int64_t c, int64_t count) {
    Vector x = read(c, count) - broadcast(mean);
    for (int64_t i = count; i < width; i++) x[i] = 0;
    squares += x * x;
  });
  const float rstd = 1 / __builtin_sqrtf(sum(squares) / static_cast<float>(columns) + eps);
  each_vector(columns, [&](int64_t c, int64_t count) {
    const Vector x = (read(c, count) - broadcast(mean)) * broadcast(rstd);
    store_part(normalised + c, x * load_part(weight + c, count) + load_part(bias + c, count), count);
  });
  if (mean_out) *mean_out = mean;
  if (rstd_out) *rstd_out = rstd;
}

template <class T> void normalise(const NormRows& norm) {
  for (int64_t r = 0; r < norm.rows; r++) {
    const int64_t at = r * norm.columns;
    const T* x = static_cast<const T*>(norm.x) + at;
    const T* residual = norm.residual ? static_cast<const T*>(norm.residual) + at : nullptr;
    const auto write = [&](const auto& read) {
      normalise_row(norm.columns, read, norm.weight, norm.bias, norm.eps,
                    norm.sum ? static_cast<T*>(norm.sum) + at : nullptr, static_cast<T*>(norm.normalised) + at,
                    norm.mean ? norm.mean + r : nullptr, norm.rstd ? norm.rstd + r : nullptr);
    };
    const auto plus_residual = [&](int64_t c, int64_t count, Vector value) {
      return residual ? value + load_part(residual + c, count) : value;
    };
    if (norm.dropout.keep < 1) {
      const Mask mask(norm.dropout, static_cast<uint64_t>(norm.first_row + r));
      write([&](int64_t c, int64_t count) { return plus_residual(c, count, load_part(x + c, count) * mask(c)); });
    } else {
      write([&](int64_t c, int64_t count) { return plus_residual(c, count, load_part(x + c, count)); });
    }
  }
}

//   g = dy weight, h = (sum - mean) rstd:  dsum = rstd (g - mean(g) - h mean(g h));  dweight = sum dy h, dbias = sum dy
template <class T> void normalise_backward(const NormRows& norm, const NormGradient& by) {
  for (int64_t r = 0; r < norm.rows; r++) {
    const int64_t at = r * norm.columns;
    const T* dy = static_cast<const T*>(by.normalised) + at;
    const T* sums = static_cast<const T*>(by.sum) + at;
    const Vector mean = broadcast(by.mean[r]), rstd = broadcast(by.rstd[r]);
    Vector total = {}, dot = {};
    each_vector(norm.columns, [&](int64_t c, int64_t count) {
      const Vector y = load_part(dy + c, count), h = (load_part(sums + c, count) - mean) * rstd;
      const Vector g = y * load_part(norm.weight + c, count);
      total += g;
      dot += g * h;
      store_part(by.by_weight + c, load_part(by.by_weight + c, count) + y * h, count);
      store_part(by.by_bias + c, load_part(by.by_bias + c, count) + y, count);
    });
    const float n = static_cast<float>(norm.columns);
    const Vector first = broadcast(sum(total) / n), second = broadcast(sum(dot) / n);
    const bool drops = by.by_x && norm.dropout.keep < 1;
    const Mask mask(norm.dropout, static_cast<uint64_t>(norm.first_row + r));
    each_vector(norm.columns, [&](int64_t c, int64_t count) {
      const Vector h = (load_part(sums + c, count) - mean) * rstd;
      const Vector g = load_part(dy + c, count) * load_part(norm.weight + c, count);
      const Vector d = rstd * (g - first - h * second);
      if (by.by_sum) store_part(static_cast<T*>(by.by_sum) + at + c, d, count);
      if (by.by_x) store_part(static_cast<T*>(by.by_x) + at + c, drops ? d * mask(c) : d, count);
    });
  }
}

template <class T> void embed(const EmbeddingRows& embedding) {
  const int64_t columns = embedding.columns;
  for (int64_t r = 0; r < embedding.rows; r++) {
    const float* word = embedding.words + embedding.word_ids[r] * columns;
    const float* position = embedding.positions + embedding.position_ids[r] * columns;
    const float* type = embedding.types + embedding.type_ids[r] * columns;
    const auto read = [&](int64_t c, int64_t count) {
      return load_part(word + c, count) + load_part(type + c, count) + load_part(position + c, count);
    };
    normalise_row<T>(columns, read, embedding.weight, embedding.bias, embedding.eps, nullptr,
                     static_cast<T*>(embedding.normalised) + r * columns, nullptr, nullptr);
  }
}

// One function of either element type. No lambdas in the table: their symbols would be weak.
void attention_any(const AttentionHead& head) {
  head.store == Store::fp32 ? attention<float>(head) : attention<Bf16>(head);
}
void attention_backward_any(const AttentionHead& head, const AttentionGradient& by) {
  head.store == Store::fp32 ? attention_backward<float>(head, by) : attention_backward<Bf16>(head, by);
}
void normalise_any(const NormRows& norm) { norm.store == Store::fp32 ? normalise<float>(norm) : normalise<Bf16>(norm); }
void normalise_backward_any(const NormRows& norm, const NormGradient& by) {
  norm.store == Store::fp32 ? normalise_backward<float>(norm, by) : normalise_backward<Bf16>(norm, by);
}
void embed_any(const EmbeddingRows& rows) { rows.store == Store::fp32 ? embed<float>(rows) : embed<Bf16>(rows); }

}  // namespace

extern const TransformerKernels transformer_kernels = {
    attention_scratch, attention_any, attention_backward_any, normalise_any, normalise_backward_any, embed_any};

}  // namespace sartor::cuda::SARTOR_ISA
