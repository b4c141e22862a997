// Compiled once per instruction set (SARTOR_ISA); everything except the tables at the end is local to this file.
#include <immintrin.h>

#include "core/vectors_isa.h"
#include "transformer/product_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int64_t panel_vectors = product_panel / width;
#ifdef __AVX512F__
constexpr int64_t fp32_rows = 12, group_rows = 12;  // 24 of 32 registers contain sums
#else
constexpr int64_t fp32_rows = 6, group_rows = 3;  // 12 of 16 registers contain sums
#endif

// Few rows are as fast as memory delivers the weights. For one or two rows the CPU requests them early enough; for
// more, too few loads are in flight.
template <int64_t rows> [[gnu::always_inline]] inline void prefetch(const void* weights) {
  constexpr int64_t distance = 8192;  // bytes
  if constexpr (rows * panel_vectors > 4) __builtin_prefetch(static_cast<const char*>(weights) + distance);
}

// Calls tile(Rows<count>(), first row) for tiles of at most `most` rows, of almost equal sizes.
template <int64_t rows> struct Rows {};
template <int64_t most, class Tile> void with_rows(int64_t count, const Tile& tile) {
  if constexpr (most > 1) {
    if (count < most) return with_rows<most - 1>(count, tile);
  }
  tile(Rows<most>());
}
template <int64_t most, class Tile> void each_tile(int64_t rows, const Tile& tile) {
  const int64_t tiles = (rows + most - 1) / most;
  for (int64_t i = 0, row = 0; i < tiles; i++) {
    const int64_t count = (rows - row) / (tiles - i);
    with_rows<most>(count, [&](auto some) { tile(some, row); });
    row += count;
  }
}

// Stores a vector of outputs at `column` of the row.
template <class T> void put(Vector value, bool with_gelu, int64_t outputs, int64_t column, T* row) {
  if (with_gelu) value = gelu(value);
  const int64_t left = outputs - column;
  if (left >= width) {
    store(row + column, value);
  } else if (left > 0) {
    store_part(row + column, value, left);
  }
}

// ---- fp32 ----

// Outputs column to column + vectors * width - 1 of a panel.
template <int64_t rows, int64_t vectors>
[[gnu::always_inline]] inline void fp32_tile(const float* x, const Fp32Weights& w, const float* panel, int64_t column,
                                             bool with_gelu, float* y) {
  Vector sums[rows][vectors] = {};
  for (int64_t k = 0; k < w.inputs; k++) {
    const float* weights = panel + k * product_panel;
    Vector b[vectors];
#pragma GCC unroll 4
    for (int64_t v = 0; v < vectors; v++) {
      b[v] = load(weights + v * width);
      if (v * width % 16 == 0) prefetch<rows>(weights + v * width);
    }
#pragma GCC unroll 16
    for (int64_t r = 0; r < rows; r++) {
      const Vector left = broadcast(x[r * w.inputs + k]);
#pragma GCC unroll 4
      for (int64_t v = 0; v < vectors; v++) sums[r][v] += left * b[v];
    }
  }
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < vectors; v++) {
      const int64_t j = column + v * width;
      put(sums[r][v] + load(w.bias + j), with_gelu, w.outputs, j, y + r * w.outputs);
    }
  }
}

void fp32(const float* x, int64_t rows, const Fp32Weights& w, int64_t first, int64_t count, bool with_gelu, float* y) {
  for (int64_t column = first; column < first + count; column += product_panel) {
    const float* panel = w.panels + column * w.inputs;
    each_tile<fp32_rows>(rows, [&]<int64_t some>(Rows<some>, int64_t row) {
      constexpr int64_t fitting = 2 * fp32_rows / some, vectors = fitting < panel_vectors ? 2 : panel_vectors;
      for (int64_t v = 0; v < panel_vectors; v += vectors) {
        fp32_tile<some, vectors>(x + row * w.inputs, w, panel + v * width, column + v * width, with_gelu,
                                 y + row * w.outputs);
      }
    });
  }
}

// ---- dot products over groups of inputs: each lane combines 4 bytes of a row with 4 bytes of an output ----

int32_t group_at(const void* values) {
  int32_t group;
  __builtin_memcpy(&group, values, sizeof group);
  return group;
}

// Sums Products::add(sum, group of a row, group of an output) over the `groups` groups of each row.
template <class Products, int64_t rows>
[[gnu::always_inline]] inline void sum_groups(const char* left, int64_t groups, const int32_t* panel,
                                              typename Products::Sum (&results)[rows][panel_vectors]) {
  typename Products::Sum sums[rows][panel_vectors] =
      {};  // a local array: in `results`, GCC would store every partial sum
  for (int64_t g = 0; g < groups; g++) {
    const int32_t* weights = panel + g * product_panel;
    prefetch<rows>(weights);
    prefetch<rows>(weights + 16);
#pragma GCC unroll 16
    for (int64_t r = 0; r < rows; r++) {
      const Integers group = Integers{} + group_at(left + 4 * (r * groups + g));
#pragma GCC unroll 4
      for (int64_t v = 0; v < panel_vectors; v++) {
        sums[r][v] = Products::add(sums[r][v], group, load(weights + v * width));
#ifndef __AVX512F__
        asm volatile("" : "+x"(sums[r][v])::"memory");  // keeps the order, or GCC runs out of registers
#endif
      }
    }
  }
#pragma GCC unroll 16
  for (int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < panel_vectors; v++) results[r][v] = sums[r][v];
  }
}

// Calls finish(row, column, panel of sums) for all rows and the outputs first to first + count - 1.
template <class Products, class Finish> void each_sum(const void* left, int64_t rows, int64_t groups,
                                                      const void* panels, int64_t first, int64_t count,
                                                      const Finish& finish) {
  const auto* values = static_cast<const char*>(left);
  for (int64_t column = first; column < first + count; column += product_panel) {
    const int32_t* panel = static_cast<const int32_t*>(panels) + column * groups;
    each_tile<group_rows>(rows, [&]<int64_t some>(Rows<some>, int64_t row) {
      typename Products::Sum sums[some][panel_vectors];
      sum_groups<Products, some>(values + 4 * row * groups, groups, panel, sums);
      for (int64_t r = 0; r < some; r++) finish(row + r, column, sums[r]);
    });
  }
}

// ---- int8 ----

// Stores rounded and shifted values as bytes.
void put_bytes(Vector scaled, int32_t zero, uint8_t* to) {
#ifdef __AVX512F__
  const __m512i shifted = _mm512_add_epi32(_mm512_cvtps_epi32(scaled), _mm512_set1_epi32(zero));
  const __m128i bytes = _mm512_cvtusepi32_epi8(_mm512_max_epi32(shifted, _mm512_setzero_si512()));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
#else
  const __m256i shifted = _mm256_add_epi32(_mm256_cvtps_epi32(scaled), _mm256_set1_epi32(zero));
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(shifted), _mm256_extracti128_si256(shifted, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
#endif
}

void round_rows(const float* x, int64_t rows, int64_t columns, uint8_t* values, float* inverse_scales, int32_t* zeros) {
  const int64_t wide = int8_inputs(columns);
  for (int64_t r = 0; r < rows; r++) {
    const float* row = x + r * columns;
    uint8_t* to = values + r * wide;
    Vector lows = {}, highs = {};  // the range includes 0, so that 0 is exact
    int64_t c = 0;
    for (; c + width <= columns; c += width) {
      const Vector v = load(row + c);
      lows = v < lows ? v : lows;
      highs = v > highs ? v : highs;
    }
    float low = -largest(-lows), high = largest(highs);
    for (; c < columns; c++) {
      low = row[c] < low ? row[c] : low;
      high = row[c] > high ? row[c] : high;
    }
    const float scale = high > low ? 255 / (high - low) : 1;
    const auto zero = static_cast<int32_t>(__builtin_rintf(-low * scale));
    inverse_scales[r] = 1 / scale;
    zeros[r] = zero;
    c = 0;
    for (; c + width <= columns; c += width) put_bytes(load(row + c) * broadcast(scale), zero, to + c);
    for (; c < columns; c++) {
      const auto v = static_cast<int32_t>(__builtin_rintf(row[c] * scale)) + zero;
      to[c] = static_cast<uint8_t>(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    for (; c < wide; c++) to[c] = 0;
  }
}

// Adds the dot product of four unsigned bytes of a row and four signed bytes of an output to each lane.
struct Int8Products {
  using Sum = Integers;
  [[gnu::always_inline]] static Sum add(Sum sum, Integers left, Integers right) {
#if defined(__AVX512VNNI__)
    return reinterpret_cast<Sum>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(left),
                                                     reinterpret_cast<__m512i>(right)));
#elif defined(__AVX512F__)
    const __m512i pairs = _mm512_maddubs_epi16(reinterpret_cast<__m512i>(left), reinterpret_cast<__m512i>(right));
    return sum + reinterpret_cast<Sum>(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
#else
    const __m256i pairs = _mm256_maddubs_epi16(reinterpret_cast<__m256i>(left), reinterpret_cast<__m256i>(right));
    return sum + reinterpret_cast<Sum>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
  }
};

void int8(const Int8Rows& a, const Int8Weights& w, int64_t first, int64_t count, bool with_gelu, float* y) {
  Vector terms[panel_vectors] = {};  // of the first row of a pair, which the second one follows immediately
  const auto finish = [&](int64_t row, int64_t column, const Integers* sums) {
    const Vector inverse = broadcast(a.inverse_scales[row]);
    const bool is_first = a.in_pairs && row % 2 == 0;
    float* const to = y + (a.in_pairs ? row / 2 : row) * w.outputs;
    for (int64_t v = 0; v < panel_vectors; v++) {
      const int64_t j = column + v * width;
      const Integers sum = sums[v] - a.zeros[row] * load(w.sums + j);
      const Vector value = __builtin_convertvector(sum, Vector), scale = load(w.scales + j) * inverse;
      if (is_first) {
        terms[v] = value * scale + load(w.bias + j);
        asm("" : "+v"(terms[v]));  // rounded here for every instruction set
      } else {
        put(value * scale + (a.in_pairs ? terms[v] : load(w.bias + j)), with_gelu, w.outputs, j, to);
      }
    }
  };
  each_sum<Int8Products>(a.values, a.rows, int8_inputs(w.inputs) / int8_group, w.panels, first, count, finish);
}

// ---- bf16 ----

#ifdef __AVX512BF16__
struct Bf16Products {
  using Sum = Vector;
  [[gnu::always_inline]] static Sum add(Sum sum, Integers left, Integers right) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left), reinterpret_cast<__m512bh>(right));
  }
};

void bf16(const uint16_t* x, int64_t rows, const Bf16Weights& w, int64_t first, int64_t count, bool with_gelu,
          uint16_t* y) {
  const auto finish = [&](int64_t row, int64_t column, const Vector* sums) {
    for (int64_t v = 0; v < panel_vectors; v++) {
      const int64_t j = column + v * width;
      put(sums[v] + load(w.bias + j), with_gelu, w.outputs, j, y + row * w.outputs);
    }
  };
  each_sum<Bf16Products>(x, rows, bf16_inputs(w.inputs) / bf16_group, w.panels, first, count, finish);
}
#else
constexpr decltype(ProductKernels::bf16) bf16 = nullptr;
#endif

#ifdef __AVX512VNNI__
constexpr int32_t largest_weight = 127;
#else
constexpr int32_t largest_weight = 63;
#endif

}  // namespace

extern const ProductKernels product_kernels = {fp32, int8, bf16, round_rows, largest_weight};

}  // namespace sartor::cuda::SARTOR_ISA
