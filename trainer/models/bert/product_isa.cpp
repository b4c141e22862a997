// Compiled once an instruction set (SARTOR_ISA): all but the tables at the end is local to the object.
#include <immintrin.h>

#include "models/bert/product_kernels.h"
#include "models/bert/vectors_isa.h"

namespace sartor::bert::SARTOR_ISA {
namespace {

#ifdef __AVX512F__
constexpr int64_t fp32_rows = 12, vnni_rows = 12;  // 24 sums of 32 registers
#else
constexpr int64_t fp32_rows = 6;  // 12 sums of 16 registers
#endif
constexpr int64_t fp32_columns = 2 * width;
constexpr int64_t int8_rows = 3;  // 12 sums of 16 registers

// Calls tile(integral constant of rows, first row): as many as `most` at once, then fewer.
template <int64_t rows> struct Rows {};
template <int64_t most, class Tile> void each_tile(int64_t rows, const Tile& tile) {
  int64_t row = 0;
  for (; row + most <= rows; row += most) tile(Rows<most>(), row);
  for (; row + 2 <= rows; row += 2) tile(Rows<2>(), row);
  for (; row < rows; row++) tile(Rows<1>(), row);
}

// A vector of outputs to y, from `column` of the row.
void put(Vector value, bool with_gelu, int64_t outputs, int64_t column, float* row) {
  if (with_gelu) value = gelu(value);
  const int64_t left = outputs - column;
  if (left >= width) {
    store(row + column, value);
  } else if (left > 0) {
    store_part(row + column, value, left);
  }
}

// ---- fp32 ----

template <int64_t rows> [[gnu::always_inline]] inline void fp32_tile(const float* x, const Fp32Weights& w,
                                                                     const float* panel, int64_t column, bool with_gelu,
                                                                     float* y) {
  const float* next = width < fp32_panel ? panel + width : panel + w.inputs * fp32_panel;
  Vector sums[rows][2] = {};
  for (int64_t k = 0; k < w.inputs; k++) {
    const Vector b0 = load(panel + k * fp32_panel), b1 = load(next + k * fp32_panel);
#pragma GCC unroll 16
    for (int64_t r = 0; r < rows; r++) {
      const Vector left = broadcast(x[r * w.inputs + k]);
      sums[r][0] += left * b0;
      sums[r][1] += left * b1;
    }
  }
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) {
    put(sums[r][0] + load(w.bias + column), with_gelu, w.outputs, column, y + r * w.outputs);
    put(sums[r][1] + load(w.bias + column + width), with_gelu, w.outputs, column + width, y + r * w.outputs);
  }
}

void fp32(const float* x, int64_t rows, const Fp32Weights& w, int64_t first, int64_t count, bool with_gelu, float* y) {
  for (int64_t column = first; column < first + count; column += fp32_columns) {
    const float* panel = w.panels + column * w.inputs;
    each_tile<fp32_rows>(rows, [&]<int64_t some>(Rows<some>, int64_t row) {
      fp32_tile<some>(x + row * w.inputs, w, panel, column, with_gelu, y + row * w.outputs);
    });
  }
}

// ---- int8 ----

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

// Sums of one row and panel to y.
void finish(const int32_t* sums, const Int8Rows& a, int64_t row, const Int8Weights& w, int64_t first, bool with_gelu,
            float* y) {
  const Vector inverse = broadcast(a.inverse_scales[row]);
#pragma GCC unroll 4
  for (int64_t j = 0; j < product_panel; j += width) {
    const Integers sum = load(sums + j) - a.zeros[row] * load(w.sums + first + j);
    const Vector value = __builtin_convertvector(sum, Vector) * (load(w.scales + first + j) * inverse);
    put(value + load(w.bias + first + j), with_gelu, w.outputs, first + j, y + row * w.outputs);
  }
}

int32_t group_at(const uint8_t* values) {
  int32_t group;
  __builtin_memcpy(&group, values, sizeof group);
  return group;
}

template <int64_t rows> [[gnu::always_inline]] inline void int8_tile(const Int8Rows& a, int64_t row,
                                                                     const Int8Weights& w, int64_t first,
                                                                     const int8_t* panel, bool with_gelu, float* y) {
  const int64_t wide = int8_inputs(w.inputs);
  const uint8_t* values = a.values + row * wide;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[rows][4] = {};
  for (int64_t k = 0; k < wide; k += int8_group) {
#pragma GCC unroll 3
    for (int64_t r = 0; r < rows; r++) {
      const __m256i left = _mm256_set1_epi32(group_at(values + r * wide + k));
#pragma GCC unroll 4
      for (int64_t v = 0; v < 4; v++) {
        const auto* right = reinterpret_cast<const __m256i*>(panel + k * product_panel + 32 * v);
        const __m256i pairs = _mm256_maddubs_epi16(left, _mm256_load_si256(right));
        sums[r][v] = _mm256_add_epi32(sums[r][v], _mm256_madd_epi16(pairs, ones));
        asm volatile("" : "+x"(sums[r][v])::"memory");  // one after the other, or GCC runs out of registers
      }
    }
  }
#pragma GCC unroll 3
  for (int64_t r = 0; r < rows; r++) {
    alignas(64) int32_t whole[product_panel];
#pragma GCC unroll 4
    for (int64_t v = 0; v < 4; v++) _mm256_store_si256(reinterpret_cast<__m256i*>(whole + 8 * v), sums[r][v]);
    finish(whole, a, row + r, w, first, with_gelu, y);
  }
}

void int8(const Int8Rows& a, const Int8Weights& w, int64_t first, int64_t count, bool with_gelu, float* y) {
  for (int64_t column = first; column < first + count; column += product_panel) {
    const int8_t* panel = w.panels + column * int8_inputs(w.inputs);
    each_tile<int8_rows>(a.rows, [&]<int64_t some>(Rows<some>, int64_t row) {
      int8_tile<some>(a, row, w, column, panel, with_gelu, y);
    });
  }
}

#ifdef __AVX512F__
#define SARTOR_VNNI [[gnu::target("avx512vnni")]]

template <int64_t rows> SARTOR_VNNI void vnni_tile(const Int8Rows& a, int64_t row, const Int8Weights& w, int64_t first,
                                                   const int8_t* panel, bool with_gelu, float* y) {
  const int64_t wide = int8_inputs(w.inputs);
  __m512i sums[rows][2];
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) sums[r][0] = sums[r][1] = _mm512_setzero_si512();
  const uint8_t* values = a.values + row * wide;
  for (int64_t k = 0; k < wide; k += int8_group) {
    const int8_t* right = panel + k * product_panel;
    const __m512i b0 = _mm512_load_si512(right), b1 = _mm512_load_si512(right + 64);
#pragma GCC unroll 16
    for (int64_t r = 0; r < rows; r++) {
      const __m512i left = _mm512_set1_epi32(group_at(values + r * wide + k));
      sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], left, b0);
      sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], left, b1);
    }
  }
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) {
    alignas(64) int32_t whole[product_panel];
    _mm512_store_si512(whole, sums[r][0]);
    _mm512_store_si512(whole + 16, sums[r][1]);
    finish(whole, a, row + r, w, first, with_gelu, y);
  }
}

SARTOR_VNNI void int8_vnni(const Int8Rows& a, const Int8Weights& w, int64_t first, int64_t count, bool with_gelu,
                           float* y) {
  for (int64_t column = first; column < first + count; column += product_panel) {
    const int8_t* panel = w.panels + column * int8_inputs(w.inputs);
    int64_t row = 0;
    for (; row + vnni_rows <= a.rows; row += vnni_rows) vnni_tile<vnni_rows>(a, row, w, column, panel, with_gelu, y);
    for (; row + 4 <= a.rows; row += 4) vnni_tile<4>(a, row, w, column, panel, with_gelu, y);
    for (; row < a.rows; row++) vnni_tile<1>(a, row, w, column, panel, with_gelu, y);
  }
}
#endif

}  // namespace

extern const ProductKernels product_kernels = {fp32, int8, round_rows, 63};
#ifdef __AVX512F__
extern const ProductKernels product_kernels_vnni = {fp32, int8_vnni, round_rows, 127};
#endif

}  // namespace sartor::bert::SARTOR_ISA
