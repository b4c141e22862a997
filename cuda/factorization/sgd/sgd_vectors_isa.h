// Rows of SgdSide as vectors, for sources that are compiled once per instruction set.
#pragma once

#include "core/vectors_isa.h"
#include "factorization/sgd/sgd_equations.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

static_assert(sgd_padding % width == 0);

// rho and lambda of the first vector, which contains the biases. In all others they are 1 and regularization.
struct Head {
  Vector rate, regularization;

  Head(const SgdParams& params, int64_t bias) {
    for (int lane = 0; lane < width; lane++) {
      const SgdColumn column = sgd_column(params, bias, lane);
      rate[lane] = column.rate;
      regularization[lane] = column.regularization;
    }
  }
};

template <int vectors> struct Length { static constexpr int number = vectors; };  // 0: known at run time

// Calls body(v) for vectors first, ..., of a row of `vectors` vectors.
template <int constant, class Body>
[[gnu::always_inline]] inline void for_vectors(Length<constant>, int64_t vectors, int64_t first, const Body& body) {
  if constexpr (constant > 0) {
#pragma GCC unroll 8
    for (int64_t v = first; v < constant; v++) body(v);
  } else {
    for (int64_t v = first; v < vectors; v++) body(v);
  }
}

template <int constant>
[[gnu::always_inline]] inline float dot(Length<constant>, int64_t vectors, const float* x, const float* y) {
  Vector even = {}, odd = {};
  const int64_t pairs = (constant > 0 ? constant : vectors) / 2;
  const auto product = [&](int64_t v, Vector sum) {
    return multiply_add(load(x + v * width), load(y + v * width), sum);
  };
  for_vectors(
      Length<constant / 2>(), pairs, 0, [&](int64_t pair) __attribute__((always_inline)) {
        even = product(2 * pair, even);
        odd = product(2 * pair + 1, odd);
      });
  if ((constant > 0 ? constant : vectors) % 2 == 1) even = product(2 * pairs, even);
  return sum(even + odd);
}

// Calls body(Length) for rows of `vectors` vectors.
template <class Body> inline auto with_length(int64_t vectors, const Body& body) {
  switch (vectors) {
    case 1:
      return body(Length<1>());
    case 2:
      return body(Length<2>());
    case 3:
      return body(Length<3>());
    case 4:
      return body(Length<4>());
    case 5:
      return body(Length<5>());
    case 6:
      return body(Length<6>());
    case 7:
      return body(Length<7>());
    case 8:
      return body(Length<8>());
    default:
      return body(Length<0>());
  }
}

}  // namespace
}  // namespace sartor::cuda::SARTOR_ISA
