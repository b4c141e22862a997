// Compiled once per instruction set (SARTOR_ISA); everything except the tables at the end is local to this file.
#include <immintrin.h>

#include "core/vectors_isa.h"
#include "transformer/matmul.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

#ifdef __AVX512F__
constexpr int64_t panel_rows = 12;  // 24 of 32 registers contain sums
#else
constexpr int64_t panel_rows = 6;  // 12 of 16 registers contain sums
#endif
constexpr int64_t panel_columns = 2 * width;

// ---- packing ----

// A vector of a panel: up to `width` rows of left or columns of right.
struct Lanes {
  int64_t count;
  int64_t stride, depth_stride;  // between lanes, and between elements of one lane
};

inline void store(int32_t* p, Vector x) { *reinterpret_cast<AnyIntegers*>(p) = reinterpret_cast<Integers>(x); }

// Elements `depth` of all lanes, for lanes that are adjacent in memory.
template <class T> Vector across(const T* from, const Lanes& lanes, int64_t depth) {
  return load_part(from + depth * lanes.depth_stride, lanes.count);
}

// The next `width` elements of each lane, transposed, for elements that are adjacent in memory.
template <class T> void transposed(const T* from, const Lanes& lanes, int64_t depth, int64_t left, Vector (&x)[width]) {
  for (int64_t i = 0; i < width; i++) {
    x[i] = i < lanes.count ? load_part(from + i * lanes.stride + depth, left) : Vector{};
  }
  transpose(x);
}

// Calls use(depth, elements of all lanes) in ascending order, up to a multiple of `group`; beyond `depth` elements are
// 0.
template <class T, class Use>
[[gnu::always_inline]] inline void each_element(const T* from, const Lanes& lanes, int64_t depth, const Use& use) {
  if (lanes.depth_stride != 1) {
    for (int64_t d = 0; d < depth; d++) use(d, across(from, lanes, d));
    return;
  }
  for (int64_t d = 0; d < depth; d += width) {
    Vector x[width];
    transposed(from, lanes, d, depth - d, x);
    for (int64_t i = 0; i < width && d + i < depth; i++) use(d + i, x[i]);
  }
}

#ifndef __AVX512BF16__
// fp32 products: a word is a number.
struct Fp32 {
  using Sum = Vector;
  static constexpr int64_t group = 1;
  [[gnu::always_inline]] static Vector add(Vector sum, int32_t left, Vector right) {
    return sum + broadcast(__builtin_bit_cast(float, left)) * right;
  }
  template <class T> static void pack(const T* from, const Lanes& lanes, int64_t depth, int64_t pitch, int32_t* to) {
    each_element(from, lanes, depth, [&](int64_t d, Vector x) { store(to + d * pitch, x); });
  }
};
#else
// bf16 products: a word is a pair of numbers of adjacent depths.
struct Bf16Pairs {
  static constexpr int64_t group = 2;
  [[gnu::always_inline]] static Vector add(Vector sum, int32_t left, Vector right) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(Integers{} + left), reinterpret_cast<__m512bh>(right));
  }
  static Words rounded(Vector x) {
    return reinterpret_cast<Words>(_mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x))));
  }
  template <class T> static void pack(const T* from, const Lanes& lanes, int64_t depth, int64_t pitch, int32_t* to) {
    if (lanes.depth_stride != 1) {
      for (int64_t d = 0; d < depth; d += 2) {
        const Words high = d + 1 < depth ? rounded(across(from, lanes, d + 1)) << 16 : Words{};
        store(to + d / 2 * pitch, reinterpret_cast<Vector>(rounded(across(from, lanes, d)) | high));
      }
      return;
    }
    for (int64_t d = 0; d < depth; d += 2 * width) {
      Vector x[width];
      for (int64_t i = 0; i < width; i++)
        x[i] = i < lanes.count ? pairs(from + i * lanes.stride + d, depth - d) : Vector{};
      transpose(x);
      for (int64_t i = 0; i < width && d + 2 * i < depth; i++) store(to + (d / 2 + i) * pitch, x[i]);
    }
  }

 private:
  // The first 2 * width of `count` numbers as pairs.
  static Vector pairs(const Bf16* p, int64_t count) {
    if (count >= 2 * width) return reinterpret_cast<Vector>(_mm512_loadu_si512(p));
    return reinterpret_cast<Vector>(_mm512_maskz_loadu_epi16((1u << count) - 1, p));
  }
  static Vector pairs(const float* p, int64_t count) {
    const Vector low = load_part(p, count), high = count > width ? load_part(p + width, count - width) : Vector{};
    return reinterpret_cast<Vector>(_mm512_cvtne2ps_pbh(high, low));
  }
};
#endif

template <class Products, class T> void pack_panels(const Operand& from, int64_t lane_stride, int64_t depth_stride,
                                                    int64_t count, int64_t depth, int64_t pitch, int32_t* panels) {
  const int64_t words = (depth + Products::group - 1) / Products::group;
  for (int64_t first = 0; first < count; first += pitch) {
    for (int64_t lane = 0; lane < pitch; lane += width) {
      const int64_t left = count - first - lane, most = pitch - lane < width ? pitch - lane : width;
      const Lanes lanes = {left < 0 ? 0 : left < most ? left : most, lane_stride, depth_stride};
      const T* data = static_cast<const T*>(from.data) + (first + lane) * lane_stride;
      Products::pack(data, lanes, depth, pitch, panels + first * words + lane);
    }
  }
}

template <class Products> void pack_left(const Operand& from, int64_t count, int64_t depth, int32_t* panels) {
  from.store == Store::fp32
      ? pack_panels<Products, float>(from, from.row_stride, from.column_stride, count, depth, panel_rows, panels)
      : pack_panels<Products, Bf16>(from, from.row_stride, from.column_stride, count, depth, panel_rows, panels);
}
template <class Products> void pack_right(const Operand& from, int64_t count, int64_t depth, int32_t* panels) {
  from.store == Store::fp32
      ? pack_panels<Products, float>(from, from.column_stride, from.row_stride, count, depth, panel_columns, panels)
      : pack_panels<Products, Bf16>(from, from.column_stride, from.row_stride, count, depth, panel_columns, panels);
}

// ---- products ----

template <class Products> [[gnu::always_inline]] inline void sum_panel(const int32_t* left, const int32_t* right,
                                                                       int64_t words,
                                                                       Vector (&results)[panel_rows][2]) {
  Vector sums[panel_rows][2] = {};  // a local array: in `results`, GCC would store every partial sum
  for (int64_t w = 0; w < words; w++) {
    const auto* place = reinterpret_cast<const float*>(right + w * panel_columns);
    const Vector first = load(place), second = load(place + width);
#pragma GCC unroll 16
    for (int64_t r = 0; r < panel_rows; r++) {
      sums[r][0] = Products::add(sums[r][0], left[w * panel_rows + r], first);
      sums[r][1] = Products::add(sums[r][1], left[w * panel_rows + r], second);
    }
  }
#pragma GCC unroll 16
  for (int64_t r = 0; r < panel_rows; r++) {
    results[r][0] = sums[r][0];
    results[r][1] = sums[r][1];
  }
}

// Stores a panel of sums at (row, column) of the block, without what is beyond its rows and columns.
template <class T>
void put(const MatmulBlock& block, const Vector (&sums)[panel_rows][2], int64_t row, int64_t column) {
  const int64_t rows = block.rows - row < panel_rows ? block.rows - row : panel_rows;
  for (int64_t v = 0; v < 2; v++) {
    const int64_t first = column + v * width, count = block.columns - first;
    if (count <= 0) return;
    const Vector bias = block.bias ? load_part(block.bias + first, count) : Vector{};
    for (int64_t r = 0; r < rows; r++) {
      T* to = static_cast<T*>(block.c) + (row + r) * block.c_stride + first;
      const Vector before = block.add ? load_part(to, count) : bias;
      store_part(to, before + sums[r][v], count);
    }
  }
}

// Requests the panel of c at (row, column) from memory.
void prefetch(const MatmulBlock& block, int64_t row, int64_t column) {
  const int64_t bytes = block.c_store == Store::fp32 ? 4 : 2;
  const int64_t rows = block.rows - row < panel_rows ? block.rows - row : panel_rows;
  for (int64_t r = 0; r < rows; r++) {
    const char* place = static_cast<const char*>(block.c) + ((row + r) * block.c_stride + column) * bytes;
    __builtin_prefetch(place, 1);
    __builtin_prefetch(place + 64, 1);
  }
}

template <class Products> void multiply(const MatmulBlock& block) {
  for (int64_t column = 0; column < block.columns; column += panel_columns) {
    for (int64_t row = 0; row < block.rows; row += panel_rows) {
      prefetch(block, row, column);
      Vector sums[panel_rows][2];
      sum_panel<Products>(block.left + row * block.words, block.right + column * block.words, block.words, sums);
      block.c_store == Store::fp32 ? put<float>(block, sums, row, column) : put<Bf16>(block, sums, row, column);
    }
  }
}

}  // namespace

#ifdef __AVX512BF16__
extern const MatmulKernels matmul_bf16 = {panel_rows, panel_columns, pack_left<Bf16Pairs>, pack_right<Bf16Pairs>,
                                          multiply<Bf16Pairs>};
#else
extern const MatmulKernels matmul_fp32 = {panel_rows, panel_columns, pack_left<Fp32>, pack_right<Fp32>, multiply<Fp32>};
#endif

}  // namespace sartor::cuda::SARTOR_ISA
