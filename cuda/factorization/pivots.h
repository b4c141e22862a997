// How symmetric systems are regularized and refused, the same on every device. Always inlined, so that the linker
// cannot merge copies of different builds.
#pragma once

namespace sartor::cuda {

namespace pivots {

constexpr float rounding = 2e-7f;     // lower bound of a pivot, relative to its diagonal entry
constexpr float first_shift = 1e-6f;  // initial shift of a singular system, relative to the mean diagonal entry

[[gnu::always_inline]] constexpr float power(float base, float exponent) {
  if (exponent == 0) return 1;
  if (exponent == 1) return base;
#ifdef __CUDA_ARCH__
  return powf(base, exponent);
#else
  return __builtin_powf(base, exponent);
#endif
}

// The shift to try after `shift` has failed, 0 at first; a negative one if there is none, because the input is not
// finite.
[[gnu::always_inline]] constexpr float next_shift(float shift, float mean_diagonal) {
  const float next = shift == 0 ? first_shift * mean_diagonal : 10 * shift;
  return next < 10 * mean_diagonal ? next : -1;
}

}  // namespace pivots

}  // namespace sartor::cuda
