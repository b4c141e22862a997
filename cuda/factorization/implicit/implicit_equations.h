// Weights and regularization of implicit ALS, the same on every device. Always inlined, so that the linker cannot merge
// copies of different builds.
#pragma once

#include <cstdint>

#include "factorization/implicit/implicit.h"
#include "factorization/pivots.h"

namespace sartor::cuda {

// Weights q and b of entries in the equations of implicit_update. T: float, or a vector of them.
template <class T> struct ImplicitWeight { T square, target; };

template <class T>
[[gnu::always_inline]] constexpr ImplicitWeight<T> implicit_weight(const ImplicitParams& params, T value) {
  const T weight = params.alpha * value;
  return {weight, weight + (params.objective == ImplicitObjective::hu_koren ? 1.0f : 0.0f)};
}

// lambda_r of a row with `entries` entries among `columns` columns.
[[gnu::always_inline]] constexpr float implicit_regularization(const ImplicitParams& params, int64_t entries,
                                                               int64_t columns) {
  const float frequency = static_cast<float>(entries) + params.unobserved_weight * static_cast<float>(columns);
  return params.regularization * pivots::power(frequency, params.regularization_power);
}

}  // namespace sartor::cuda
