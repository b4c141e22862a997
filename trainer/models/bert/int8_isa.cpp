// Compiled once an instruction set (SARTOR_ISA): all but the tables at the end is local to the object.
#include <immintrin.h>

#include "models/bert/int8_kernels.h"

namespace sartor::bert::SARTOR_ISA {
namespace {

#ifdef __AVX512F__
constexpr int64_t tile_rows_vnni = 12;  // 24 sums of 32 registers
#endif
constexpr int64_t tile_rows = 2;

float* row_of(float* y, int64_t row, const Int8Weights& w) { return y + row * w.outputs; }

void round_rows(const float* x, int64_t rows, int64_t columns, uint8_t* values, float* inverse_scales, int32_t* zeros) {
  const int64_t wide = int8_inputs(columns);
  for (int64_t r = 0; r < rows; r++) {
    const float* row = x + r * columns;
    uint8_t* to = values + r * wide;
    __m256 lows = _mm256_setzero_ps(), highs = lows;  // 0 is within, so that it is exact
    int64_t c = 0;
    for (; c + 8 <= columns; c += 8) {
      const __m256 v = _mm256_loadu_ps(row + c);
      lows = _mm256_min_ps(v, lows);
      highs = _mm256_max_ps(v, highs);
    }
    float low = 0, high = 0;
    for (int i = 0; i < 8; i++) {
      low = lows[i] < low ? lows[i] : low;
      high = highs[i] > high ? highs[i] : high;
    }
    for (; c < columns; c++) {
      low = row[c] < low ? row[c] : low;
      high = row[c] > high ? row[c] : high;
    }
    const float scale = high > low ? 255 / (high - low) : 1;
    const auto zero = static_cast<int32_t>(__builtin_rintf(-low * scale));
    inverse_scales[r] = 1 / scale;
    zeros[r] = zero;
    const __m256 factor = _mm256_set1_ps(scale);
    const __m256i shift = _mm256_set1_epi32(zero);
    c = 0;
    for (; c + 8 <= columns; c += 8) {
      const __m256i v = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(row + c), factor)), shift);
      const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + c), _mm_packus_epi16(words, words));
    }
    for (; c < columns; c++) {
      const auto v = static_cast<int32_t>(__builtin_rintf(row[c] * scale)) + zero;
      to[c] = static_cast<uint8_t>(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    for (; c < wide; c++) to[c] = 0;
  }
}

__m256 exp_negative(__m256 x) {
  x = _mm256_max_ps(x, _mm256_set1_ps(-87));
  const __m256 magic = _mm256_set1_ps(12582912);  // 1.5 * 2^23: adding it rounds to an integer
  const __m256 shifted = _mm256_fmadd_ps(x, _mm256_set1_ps(1.44269504f), magic), n = shifted - magic;
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fmadd_ps(n, _mm256_set1_ps(2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.9875691500e-4f);
  constexpr float coefficients[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                                    5.0000001201e-1f};
  for (const float coefficient : coefficients) p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(coefficient));
  p = _mm256_fmadd_ps(p * r, r, r) + _mm256_set1_ps(1);
  const __m256i power =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(127 - 0x4b400000)), 23);
  return p * _mm256_castsi256_ps(power);
}

// x Phi(x); erf as Abramowitz and Stegun 7.1.26, whose error is 1.5e-7.
__m256 gelu_of(__m256 x) {
  const __m256 sign = _mm256_and_ps(x, _mm256_set1_ps(-0.0f));
  const __m256 z = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x) * _mm256_set1_ps(0.70710678f);
  const __m256 one = _mm256_set1_ps(1);
  const __m256 t = one / _mm256_fmadd_ps(_mm256_set1_ps(0.3275911f), z, one);
  __m256 p = _mm256_set1_ps(1.061405429f);
  constexpr float coefficients[] = {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f};
  for (const float coefficient : coefficients) p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(coefficient));
  const __m256 erf = one - p * t * exp_negative(-z * z);
  return _mm256_set1_ps(0.5f) * x * (one + _mm256_or_ps(erf, sign));
}

// Sums of one row and panel to y.
void finish(const int32_t* sums, const Int8Rows& a, int64_t row, const Int8Weights& w, int64_t first, bool gelu,
            float* y) {
  float* to = row_of(y, row, w) + first;
  const __m256i zero = _mm256_set1_epi32(a.zeros[row]);
  const __m256 inverse = _mm256_set1_ps(a.inverse_scales[row]);
  for (int64_t j = 0; j < int8_panel; j += 8) {
    const __m256i sum = _mm256_sub_epi32(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums + j)),
        _mm256_mullo_epi32(zero, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w.sums + first + j))));
    const __m256 scale = _mm256_loadu_ps(w.scales + first + j) * inverse;
    __m256 value = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, _mm256_loadu_ps(w.bias + first + j));
    if (gelu) value = gelu_of(value);
    const int64_t left = w.outputs - first - j;
    if (left >= 8) {
      _mm256_storeu_ps(to + j, value);
    } else {
      for (int64_t i = 0; i < left; i++) to[j + i] = value[i];
    }
  }
}

// Inputs widened to 16 bits, where a pair's products cannot overflow; each 32-bit sum is half an output's.
template <int64_t rows> void tile(const Int8Rows& a, int64_t row, const Int8Weights& w, int64_t first,
                                  const int8_t* panel, bool gelu, float* y) {
  const int64_t wide = int8_inputs(w.inputs);
  alignas(64) int32_t whole[rows][int8_panel];
  for (int64_t part = 0; part < int8_panel; part += 16) {
    __m256i sums[rows][4] = {};
    for (int64_t k = 0; k < wide; k += int8_group) {
      __m256i right[4];
#pragma GCC unroll 4
      for (int64_t v = 0; v < 4; v++) {
        const auto* bytes = panel + k * int8_panel + (part + 4 * v) * int8_group;
        right[v] = _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
      }
#pragma GCC unroll 2
      for (int64_t r = 0; r < rows; r++) {
        int32_t four;
        __builtin_memcpy(&four, a.values + (row + r) * wide + k, sizeof four);
        const __m256i left = _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
#pragma GCC unroll 4
        for (int64_t v = 0; v < 4; v++) sums[r][v] = _mm256_add_epi32(sums[r][v], _mm256_madd_epi16(left, right[v]));
      }
    }
    alignas(64) int32_t halves[32];
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t v = 0; v < 4; v++) _mm256_store_si256(reinterpret_cast<__m256i*>(halves + 8 * v), sums[r][v]);
      for (int64_t j = 0; j < 16; j++) whole[r][part + j] = halves[2 * j] + halves[2 * j + 1];
    }
  }
  for (int64_t r = 0; r < rows; r++) finish(whole[r], a, row + r, w, first, gelu, y);
}

void product(const Int8Rows& a, const Int8Weights& w, int64_t first, int64_t count, bool gelu, float* y) {
  const int64_t panel_bytes = int8_inputs(w.inputs) * int8_panel;
  for (int64_t j = first; j < first + count; j += int8_panel) {
    const int8_t* panel = w.panels + j / int8_panel * panel_bytes;
    int64_t row = 0;
    for (; row + tile_rows <= a.rows; row += tile_rows) tile<tile_rows>(a, row, w, j, panel, gelu, y);
    for (; row < a.rows; row++) tile<1>(a, row, w, j, panel, gelu, y);
  }
}

#ifdef __AVX512F__
#define SARTOR_VNNI [[gnu::target("avx512vnni")]]

template <int64_t rows> SARTOR_VNNI void tile_vnni(const Int8Rows& a, int64_t row, const Int8Weights& w, int64_t first,
                                                   const int8_t* panel, bool gelu, float* y) {
  const int64_t wide = int8_inputs(w.inputs);
  __m512i sums[rows][2];
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) sums[r][0] = sums[r][1] = _mm512_setzero_si512();
  const uint8_t* values = a.values + row * wide;
  for (int64_t k = 0; k < wide; k += int8_group) {
    const __m512i b0 = _mm512_load_si512(panel + k * int8_panel), b1 = _mm512_load_si512(panel + k * int8_panel + 64);
#pragma GCC unroll 16
    for (int64_t r = 0; r < rows; r++) {
      int32_t four;
      __builtin_memcpy(&four, values + r * wide + k, sizeof four);
      const __m512i left = _mm512_set1_epi32(four);
      sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], left, b0);
      sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], left, b1);
    }
  }
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) {
    alignas(64) int32_t whole[int8_panel];
    _mm512_store_si512(whole, sums[r][0]);
    _mm512_store_si512(whole + 16, sums[r][1]);
    finish(whole, a, row + r, w, first, gelu, y);
  }
}

SARTOR_VNNI void product_vnni(const Int8Rows& a, const Int8Weights& w, int64_t first, int64_t count, bool gelu,
                              float* y) {
  const int64_t panel_bytes = int8_inputs(w.inputs) * int8_panel;
  for (int64_t j = first; j < first + count; j += int8_panel) {
    const int8_t* panel = w.panels + j / int8_panel * panel_bytes;
    int64_t row = 0;
    for (; row + tile_rows_vnni <= a.rows; row += tile_rows_vnni)
      tile_vnni<tile_rows_vnni>(a, row, w, j, panel, gelu, y);
    for (; row + 4 <= a.rows; row += 4) tile_vnni<4>(a, row, w, j, panel, gelu, y);
    for (; row < a.rows; row++) tile_vnni<1>(a, row, w, j, panel, gelu, y);
  }
}
#endif

}  // namespace

extern const Int8Kernels int8_kernels = {round_rows, product};
#ifdef __AVX512F__
extern const Int8Kernels int8_kernels_vnni = {round_rows, product_vnni};
#endif

}  // namespace sartor::bert::SARTOR_ISA
