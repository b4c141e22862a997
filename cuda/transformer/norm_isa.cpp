// Compiled once per instruction set (SARTOR_ISA); everything except the table at the end is local to this file.
#include "transformer/norm_kernels.h"

#include "core/vectors_isa.h"
#include "transformer/dropout_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

// Calls use(column, count) for the full vectors of a row and for the rest.
template <class Use> void each_vector(int64_t columns, const Use& use) {
  int64_t c = 0;
  for (; c + width <= columns; c += width) use(c, width);
  if (c < columns) use(c, columns - c);
}

inline Vector rounded_to(const float*, Vector x) { return x; }
inline Vector rounded_to(const Bf16*, Vector x) {
  Bf16 part[width];
  store(part, x);
  return load(part);
}

// Statistics of a row.
struct Moments {
  float mean = 0, rstd;
};

// Moments of the row that read(column, count) returns (0 beyond the row), in two passes. Stores the row if `sums` is
// not null.
template <class T, class Read> Moments moments(int64_t columns, const Read& read, float eps, T* sums) {
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
  return {mean, 1 / __builtin_sqrtf(sum(squares) / static_cast<float>(columns) + eps)};
}

// The same for RMS normalization, where the mean is 0.
template <class T, class Read> Moments rms_moments(int64_t columns, const Read& read, float eps, T* sums) {
  Vector squares = {};
  each_vector(columns, [&](int64_t c, int64_t count) {
    const Vector x = read(c, count);
    squares += x * x;
    if (sums) store_part(sums + c, x, count);
  });
  return {0, 1 / __builtin_sqrtf(sum(squares) / static_cast<float>(columns) + eps)};
}

template <class T, class Read> void normalise_row(int64_t columns, const Read& read, const Moments& of,
                                                  const float* weight, const float* bias, T* normalised) {
  const Vector mean = broadcast(of.mean), rstd = broadcast(of.rstd);
  each_vector(columns, [&](int64_t c, int64_t count) {
    const Vector x = (read(c, count) - mean) * rstd;
    store_part(normalised + c, x * load_part(weight + c, count) + load_part(bias + c, count), count);
  });
}

template <class T, class Read>
void rms_normalise_row(int64_t columns, const Read& read, float rstd, const float* weight, T* normalised) {
  each_vector(columns, [&](int64_t c, int64_t count) {
    const Vector x = rounded_to(normalised, read(c, count) * broadcast(rstd));
    store_part(normalised + c, x * load_part(weight + c, count), count);
  });
}

template <class T> void normalise(const NormRows& norm) {
  for (int64_t r = 0; r < norm.rows; r++) {
    const int64_t at = r * norm.columns;
    const T* x = static_cast<const T*>(norm.x) + at;
    const T* residual = norm.residual ? static_cast<const T*>(norm.residual) + at : nullptr;
    const auto write = [&](const auto& read) {
      T* sums = norm.sum ? static_cast<T*>(norm.sum) + at : nullptr;
      T* to = static_cast<T*>(norm.normalised) + at;
      const Moments of =
          norm.rms ? rms_moments(norm.columns, read, norm.eps, sums) : moments(norm.columns, read, norm.eps, sums);
      norm.rms ? rms_normalise_row(norm.columns, read, of.rstd, norm.weight, to)
               : normalise_row(norm.columns, read, of, norm.weight, norm.bias, to);
      if (norm.mean) norm.mean[r] = of.mean;
      if (norm.rstd) norm.rstd[r] = of.rstd;
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

//   g = dy weight, h = (sum - mean) rstd:  dsum = rstd (g - mean(g) - h mean(g h)) + also;  dweight = sum dy h,
//   dbias = sum dy
// RMS normalization: the same with mean = mean(g) = 0.
template <class T> void normalise_backward(const NormRows& norm, const NormGradient& by) {
  for (int64_t r = 0; r < norm.rows; r++) {
    const int64_t at = r * norm.columns;
    const T* dy = static_cast<const T*>(by.normalised) + at;
    const T* sums = static_cast<const T*>(by.sum) + at;
    const T* also = by.also ? static_cast<const T*>(by.also) + at : nullptr;
    const Vector mean = broadcast(norm.rms ? 0 : by.mean[r]), rstd = broadcast(by.rstd[r]);
    Vector total = {}, dot = {};
    each_vector(norm.columns, [&](int64_t c, int64_t count) {
      const Vector y = load_part(dy + c, count), h = (load_part(sums + c, count) - mean) * rstd;
      const Vector g = y * load_part(norm.weight + c, count);
      total += g;
      dot += g * h;
      store_part(by.by_weight + c, load_part(by.by_weight + c, count) + y * h, count);
      if (!norm.rms) store_part(by.by_bias + c, load_part(by.by_bias + c, count) + y, count);
    });
    const float n = static_cast<float>(norm.columns);
    const Vector first = broadcast(norm.rms ? 0 : sum(total) / n), second = broadcast(sum(dot) / n);
    const bool drops = by.by_x && norm.dropout.keep < 1;
    const Mask mask(norm.dropout, static_cast<uint64_t>(norm.first_row + r));
    each_vector(norm.columns, [&](int64_t c, int64_t count) {
      const Vector h = (load_part(sums + c, count) - mean) * rstd;
      const Vector g = load_part(dy + c, count) * load_part(norm.weight + c, count);
      Vector d = rstd * (g - first - h * second);
      if (also) d += load_part(also + c, count);
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
    const Moments of = moments<T>(columns, read, embedding.eps, nullptr);
    normalise_row(columns, read, of, embedding.weight, embedding.bias,
                  static_cast<T*>(embedding.normalised) + r * columns);
  }
}

// Dispatch by element type. The table must not contain lambdas, because their symbols are weak.
void normalise_any(const NormRows& norm) { norm.store == Store::fp32 ? normalise<float>(norm) : normalise<Bf16>(norm); }
void normalise_backward_any(const NormRows& norm, const NormGradient& by) {
  norm.store == Store::fp32 ? normalise_backward<float>(norm, by) : normalise_backward<Bf16>(norm, by);
}
void embed_any(const EmbeddingRows& rows) { rows.store == Store::fp32 ? embed<float>(rows) : embed<Bf16>(rows); }

}  // namespace

extern const NormKernels norm_kernels = {normalise_any, normalise_backward_any, embed_any};

}  // namespace sartor::cuda::SARTOR_ISA
