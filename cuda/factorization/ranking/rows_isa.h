// Loops over rows of floats for bpr_isa.cpp and contrastive_isa.cpp. Compiled once per instruction set; everything is
// local to the file that includes it.
#pragma once

#include "core/vectors_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

// Calls use(count, at) for the vectors of a row: full ones, and the rest.
template <class Use> [[gnu::always_inline]] inline void for_vectors(int64_t columns, Use use) {
  int64_t at = 0;
  for (; at + width <= columns; at += width) use(int64_t{width}, at);
  if (at < columns) use(columns - at, at);
}

inline float dot(const float* x, const float* y, int64_t columns) {
  Vector products = {};
  for_vectors(columns, [&](int64_t count, int64_t at) {
    products = multiply_add(load_part(x + at, count), load_part(y + at, count), products);
  });
  return sum(products);
}

// Fetches a row that will be written.
inline void fetch(const float* row, int64_t columns) {
  constexpr int64_t line = 64 / sizeof(float);
  for (int64_t at = 0; at < columns; at += line) __builtin_prefetch(row + at, 1);
}

}  // namespace
}  // namespace sartor::cuda::SARTOR_ISA
