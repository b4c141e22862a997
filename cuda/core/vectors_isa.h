// Vectors of fp32 and functions of them, for sources that are compiled once per instruction set. Everything is in an
// unnamed namespace within SARTOR_ISA, so that the linker cannot merge symbols of different builds.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace sartor::cuda::SARTOR_ISA {
namespace {

#ifdef __AVX512F__
constexpr int width = 16;
#else
constexpr int width = 8;
#endif

using Vector [[gnu::vector_size(4 * width)]] = float;
using Words [[gnu::vector_size(4 * width)]] = uint32_t;
using Integers [[gnu::vector_size(4 * width)]] = int32_t;
using Halves [[gnu::vector_size(2 * width)]] = uint16_t;
typedef float AnyVector __attribute__((vector_size(4 * width), aligned(4)));
typedef uint16_t AnyHalves __attribute__((vector_size(2 * width), aligned(2)));
typedef int32_t AnyIntegers __attribute__((vector_size(4 * width), aligned(4)));

using Bf16 = uint16_t;

inline Vector broadcast(float x) { return x - Vector{}; }
inline Vector lane(Vector x, int i) { return __builtin_shuffle(x, Integers{} + i); }

inline Vector load(const float* p) { return *reinterpret_cast<const AnyVector*>(p); }
inline Integers load(const int32_t* p) { return *reinterpret_cast<const AnyIntegers*>(p); }
inline void store(float* p, Vector x) { *reinterpret_cast<AnyVector*>(p) = x; }

inline Integers indices() {  // 0, 1, 2, ...
  Integers lanes = {};
#pragma GCC unroll 16
  for (int i = 0; i < width; i++) lanes[i] = i;
  return lanes;
}

inline Vector root(Vector x) {
#ifdef __AVX512F__
  return _mm512_sqrt_ps(x);
#else
  return _mm256_sqrt_ps(x);
#endif
}
inline Vector multiply_add(Vector a, Vector b, Vector c) {  // a * b + c, rounded once
#ifdef __AVX512F__
  return _mm512_fmadd_ps(a, b, c);
#else
  return _mm256_fmadd_ps(a, b, c);
#endif
}
inline uint32_t above(Vector a, Vector b) {  // bit i: a > b in lane i
#ifdef __AVX512F__
  return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
#else
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)));
#endif
}

// Reduces all lanes pairwise with combine(a, b).
template <class Combine> [[gnu::always_inline]] inline float folded(Vector x, const Combine& combine) {
  const Integers lanes = indices();
#pragma GCC unroll 4
  for (int distance = width / 2; distance > 0; distance /= 2) {
    x = combine(x, __builtin_shuffle(x, lanes ^ distance));
  }
  return x[0];
}
inline float sum(Vector x) {
  return folded(x, [](Vector a, Vector b) { return a + b; });
}
inline float largest(Vector x) {
  return folded(x, [](Vector a, Vector b) { return a > b ? a : b; });
}

inline Vector load(const Bf16* p) {
  const Halves half = *reinterpret_cast<const AnyHalves*>(p);
  return reinterpret_cast<Vector>(__builtin_convertvector(half, Words) << 16);
}
inline void store(Bf16* p, Vector x) {  // rounds to nearest even; keeps NaN
  const Words bits = reinterpret_cast<Words>(x);
  Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  rounded = x == x ? rounded : (Words{} + 0x7fc0);
  *reinterpret_cast<AnyHalves*>(p) = __builtin_convertvector(rounded, Halves);
}

// Loads the first `count` elements (a full vector if `count` is larger); the other lanes are 0.
template <class T> Vector load_part(const T* p, int64_t count) {
  if (count >= width) return load(p);
  T part[width] = {};
  for (int64_t i = 0; i < count; i++) part[i] = p[i];
  return load(part);
}
inline Vector load_part(const float* p, int64_t count) {
  if (count >= width) return load(p);
#ifdef __AVX512F__
  return _mm512_maskz_loadu_ps((1u << count) - 1, p);
#else
  return _mm256_maskload_ps(p, reinterpret_cast<__m256i>(indices() < static_cast<int>(count)));
#endif
}
#ifdef __AVX512F__
inline Vector load_part(const Bf16* p, int64_t count) {
  if (count >= width) return load(p);
  const __m256i half = _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1), p);
  return reinterpret_cast<Vector>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
#endif
template <class T> void store_part(T* p, Vector x, int64_t count) {
  if (count >= width) return store(p, x);
  T part[width];
  store(part, x);
  for (int64_t i = 0; i < count; i++) p[i] = part[i];
}

// Transposes a square: swaps off-diagonal blocks of 1, 2, 4, ... elements between pairs of rows.
[[gnu::always_inline]] inline void transpose(Vector (&x)[width]) {
  const Integers lanes = indices();
#pragma GCC unroll 4
  for (int distance = 1; distance < width; distance *= 2) {
    const Integers crossed = lanes ^ distance, is_second = (lanes & distance) != 0;
#pragma GCC unroll 16
    for (int i = 0; i < width; i++) {
      if (i & distance) continue;
      const Vector first = x[i], second = x[i + distance];
      x[i] = __builtin_shuffle(first, second, is_second ? crossed + width : lanes);
      x[i + distance] = __builtin_shuffle(first, second, is_second ? lanes + width : crossed);
    }
  }
}

// Adds pairs of vectors `distance`, 2 `distance`, ... apart, so that each half of the lanes holds parts of one of them.
template <int distance> [[gnu::always_inline]] inline void add_pairs(Vector (&x)[width]) {
  if constexpr (distance < width) {
    const Integers other = indices() ^ distance, is_second = (indices() & distance) != 0;
#pragma GCC unroll 16
    for (int r = 0; r < width; r += 2 * distance) {
      const Vector kept = is_second ? x[r + distance] : x[r], given = is_second ? x[r] : x[r + distance];
      x[r] = kept + __builtin_shuffle(given, other);
    }
    add_pairs<2 * distance>(x);
  }
}

// Lane r of the result is the sum of x[r]. Overwrites x.
[[gnu::always_inline]] inline Vector sums(Vector (&x)[width]) {
  add_pairs<1>(x);
  return x[0];
}

// e^x for x <= 0 with a relative error of 1e-7; 0 below -87.
inline Vector exp_negative(Vector x) {
  const Vector magic = broadcast(12582912);  // 1.5 * 2^23: adding it rounds to an integer
  const Vector kept = x > broadcast(-87) ? x : broadcast(-87);
  const Vector shifted = kept * broadcast(1.44269504f) + magic, n = shifted - magic;
  const Vector r = (kept - n * broadcast(0.693359375f)) + n * broadcast(2.12194440e-4f);
  Vector p = broadcast(1.9875691500e-4f);
  p = p * r + broadcast(1.3981999507e-3f);
  p = p * r + broadcast(8.3334519073e-3f);
  p = p * r + broadcast(4.1665795894e-2f);
  p = p * r + broadcast(1.6666665459e-1f);
  p = p * r + broadcast(5.0000001201e-1f);
  p = p * r * r + r + broadcast(1);
  const Integers power = (reinterpret_cast<Integers>(shifted) - 0x4b400000 + 127) << 23;
  const Vector result = p * reinterpret_cast<Vector>(power);
  return x > broadcast(-87) ? result : Vector{};
}

// x Phi(x) with an error of at most 2e-7; erf by Abramowitz and Stegun 7.1.26, with an error of 1.5e-7.
inline Vector gelu(Vector x) {
  const Vector magnitude = x < Vector{} ? -x : x, z = magnitude * broadcast(0.70710678f), one = broadcast(1);
  const Vector t = one / (z * broadcast(0.3275911f) + one);
  Vector p = broadcast(1.061405429f);
  p = p * t + broadcast(-1.453152027f);
  p = p * t + broadcast(1.421413741f);
  p = p * t + broadcast(-0.284496736f);
  p = p * t + broadcast(0.254829592f);
  const Vector erf = one - p * t * exp_negative(-z * z);
  return broadcast(0.5f) * (x + magnitude * erf);
}

}  // namespace
}  // namespace sartor::cuda::SARTOR_ISA
