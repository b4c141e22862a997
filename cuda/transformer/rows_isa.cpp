// Compiled once per instruction set (SARTOR_ISA); everything except the table at the end is local to this file.
#include "transformer/rows_kernels.h"

#include "core/vectors_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

// ---- rotary embeddings ----

template <class T> void rotate(const RotaryRows& of) {
  const int64_t half = of.d / 2;
  const Vector sign = broadcast(of.sign);
  for (int64_t r = 0; r < of.rows; r++) {
    const float *cos = of.cos + of.positions[r] * half, *sin = of.sin + of.positions[r] * half;
    for (int64_t head = 0; head < of.heads; head++) {
      const T* x = static_cast<const T*>(of.x) + r * of.x_stride + head * of.d;
      T* y = static_cast<T*>(of.y) + r * of.y_stride + head * of.d;
      for (int64_t i = 0; i < half; i += width) {
        const int64_t count = half - i;
        const Vector x1 = load_part(x + i, count), x2 = load_part(x + half + i, count);
        const Vector c = load_part(cos + i, count), s = load_part(sin + i, count) * sign;
        store_part(y + i, x1 * c - x2 * s, count);
        store_part(y + half + i, x2 * c + x1 * s, count);
      }
    }
  }
}

// ---- activations ----

struct Point {
  Vector value, slope;
};

inline Vector sigmoid(Vector x) {
  const Vector one = broadcast(1), e = exp_negative(x < Vector{} ? x : -x);
  return (x < Vector{} ? e : one) / (one + e);
}

inline Point silu(Vector x) {
  const Vector s = sigmoid(x), value = x * s;
  return {value, s + value * (broadcast(1) - s)};
}

// (1 + tanh(u)) / 2 = sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3)
inline Point gelu_tanh(Vector x) {
  const Vector square = x * x, twice = broadcast(1.59576912f);
  const Vector s = sigmoid(twice * x * (broadcast(1) + broadcast(0.044715f) * square)), value = x * s;
  const Vector by_x = twice * (broadcast(1) + broadcast(3 * 0.044715f) * square);
  // x far from 0: s is 0 or 1, and by_x may be infinite
  const Vector rest = s * (broadcast(1) - s), bend = rest > Vector{} ? value * (broadcast(1) - s) * by_x : Vector{};
  return {value, s + bend};
}

inline Point exact_gelu(Vector x) {
  const Vector magnitude = x < Vector{} ? -x : x;
  const Vector positive = gelu(magnitude);  // x Phi(x) - x = -x Phi(-x)
  const Vector phi = exp_negative(magnitude * magnitude * broadcast(-0.5f)) * broadcast(0.39894228f);
  const Vector near =
      magnitude > broadcast(1e-3f) ? positive / magnitude : broadcast(0.5f) + magnitude * broadcast(0.39894228f);
  return {x < Vector{} ? positive - magnitude : positive, (x < Vector{} ? broadcast(1) - near : near) + x * phi};
}

template <class T, class Shape> void activate_by(const ActivationValues& of, const Shape& shape) {
  const T *x = static_cast<const T*>(of.x), *up = static_cast<const T*>(of.up);
  for (int64_t i = 0; i < of.count; i += width) {
    const int64_t count = of.count - i;
    const Vector value = shape(load_part(x + i, count)).value;
    store_part(static_cast<T*>(of.y) + i, up ? value * load_part(up + i, count) : value, count);
  }
}

template <class T, class Shape>
void activate_backward_by(const ActivationValues& of, const ActivationGradient& by, const Shape& shape) {
  const T *x = static_cast<const T*>(of.x), *up = static_cast<const T*>(of.up), *from = static_cast<const T*>(by.by_y);
  for (int64_t i = 0; i < of.count; i += width) {
    const int64_t count = of.count - i;
    const Point at = shape(load_part(x + i, count));
    const Vector dy = load_part(from + i, count);
    if (up) store_part(static_cast<T*>(by.by_up) + i, dy * at.value, count);
    store_part(static_cast<T*>(by.by_x) + i, (up ? dy * load_part(up + i, count) : dy) * at.slope, count);
  }
}

// Calls use(function of a vector that returns a Point).
template <class Use> void with_curve(Curve curve, const Use& use) {
  switch (curve) {
    case Curve::gelu:
      return use([](Vector x) { return exact_gelu(x); });
    case Curve::gelu_tanh:
      return use([](Vector x) { return gelu_tanh(x); });
    case Curve::silu:
      return use([](Vector x) { return silu(x); });
  }
}

// ---- loss of a language model ----

// Calls use(column, count) for four vectors at a time as use(column, width, lane of four), then for the rest.
template <class Use> [[gnu::always_inline]] inline void each_column(int64_t columns, const Use& use) {
  int64_t c = 0;
  for (; c + 4 * width <= columns; c += 4 * width) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) use(c + i * width, int64_t{width}, i);
  }
  for (; c < columns; c += width) use(c, columns - c, 0);
}

// Lanes of the last vector beyond the row.
inline Vector filled(Vector x, int64_t count, float value) {
  return count >= width ? x : indices() < Integers{} + static_cast<int>(count) ? x : broadcast(value);
}

float largest_of(const float* row, int64_t columns) {  // NaN if there is one
  Vector most[4];
  Integers invalid = {};
  for (auto& x : most) x = broadcast(-__builtin_inff());
  each_column(columns, [&](int64_t c, int64_t count, int i) {
    const Vector x = filled(load_part(row + c, count), count, -__builtin_inff());
    most[i] = x > most[i] ? x : most[i];
    invalid |= x != x;
  });
  for (int i = 1; i < 4; i++) most[0] = most[i] > most[0] ? most[i] : most[0];
  for (int i = 0; i < width; i++) {
    if (invalid[i]) return __builtin_nanf("");
  }
  return largest(most[0]);
}

// Sum of exp(x - top); stores the terms if `stores`.
template <bool stores> float exponentials(float* row, int64_t columns, float top) {
  Vector total[4] = {};
  each_column(columns, [&](int64_t c, int64_t count, int i) {
    const Vector x = load_part(row + c, count) - broadcast(top);
    const Vector e = exp_negative(filled(x, count, -100));
    total[i] += e;
    if (stores) store_part(row + c, e, count);
  });
  return sum((total[0] + total[1]) + (total[2] + total[3]));
}

void token_loss(const LogitRows& of) {
  for (int64_t r = 0; r < of.rows; r++) {
    float* row = of.logits + r * of.columns;
    const float top = largest_of(row, of.columns), target = row[of.targets[r]];
    const float total =
        of.weights ? exponentials<true>(row, of.columns, top) : exponentials<false>(row, of.columns, top);
    of.nll[r] = __builtin_logf(total) - (target - top);
    if (!of.weights) continue;
    const float weight = top == top ? of.weights[r] : top;
    const Vector factor = broadcast(weight / total);
    each_column(of.columns,
                [&](int64_t c, int64_t count, int) { store_part(row + c, load_part(row + c, count) * factor, count); });
    row[of.targets[r]] -= weight;
  }
}

// Dispatch by element type. The table must not contain lambdas, because their symbols are weak.
void rotate_any(const RotaryRows& of) { of.store == Store::fp32 ? rotate<float>(of) : rotate<Bf16>(of); }
void activate_any(const ActivationValues& of) {
  with_curve(of.curve, [&](const auto& shape) {
    of.store == Store::fp32 ? activate_by<float>(of, shape) : activate_by<Bf16>(of, shape);
  });
}
void activate_backward_any(const ActivationValues& of, const ActivationGradient& by) {
  with_curve(of.curve, [&](const auto& shape) {
    of.store == Store::fp32 ? activate_backward_by<float>(of, by, shape) : activate_backward_by<Bf16>(of, by, shape);
  });
}

}  // namespace

extern const RowsKernels rows_kernels = {rotate_any, activate_any, activate_backward_any, token_loss};

}  // namespace sartor::cuda::SARTOR_ISA
