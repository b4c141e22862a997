// Compiled for AVX-512 with VNNI; everything except the table at the end is local to this file.
#include "core/vectors_isa.h"
#include "similarity/screening/screen_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int tile_queries = 14, panel_items = 2 * width;  // as in topk_isa.cpp

// Elements and biases within these limits keep all bounds far from overflow and underflow.
constexpr float least = 1e-8f, most = 1e8f;

// Covers the rounding of norms and of the differences from the integers.
constexpr float safety = 1.002f;

// What the rounding of fp32 sums over d columns and of bounds adds to |dv| / |v|.
float rounding(int64_t d) { return static_cast<float>(d + 64) * 0x1p-23f; }

bool in_limits(float largest) { return largest == 0 || (largest >= least && largest <= most); }

// The largest of the elements, and the sum of their squares, which is NaN if one of them is.
struct Extent {
  float largest = 0, square = 0;

  void add(float x) {
    const float size = __builtin_fabsf(x);
    largest = size > largest ? size : largest;
    square += x * x;
  }
  bool usable() const { return in_limits(largest) && square <= __FLT_MAX__; }
};

bool pack_queries(const float* tile, int64_t rows, int64_t d, uint8_t* values, float* norms, float* inverses,
                  float& relative) {
  for (int64_t r = 0; r < rows; r++) {
    Extent extent;
    for (int64_t c = 0; c < d; c++) extent.add(tile[c * rows + r]);
    if (!extent.usable()) return false;
    const float scale = extent.largest > 0 ? extent.largest / 127 : 1, inverse = 1 / scale;
    float square = 0, lost = 0;
    for (int64_t c = 0; c < (d + 3) / 4 * 4; c++) {
      const float x = c < d ? tile[c * rows + r] : 0, rounded = __builtin_roundevenf(x * inverse);
      const float difference = x - rounded * scale;
      square += rounded * rounded;
      lost += difference * difference;
      values[(c / 4 * rows + r) * 4 + c % 4] = static_cast<uint8_t>(static_cast<int>(rounded) + 128);
    }
    norms[r] = __builtin_sqrtf(square) * safety;
    inverses[r] = inverse;
    if (square == 0) continue;
    const float share = __builtin_sqrtf(lost) / (scale * __builtin_sqrtf(square)) * safety;
    relative = share > relative ? share : relative;
  }
  return true;
}

// Half a panel.
bool pack_half(const float* panel, int64_t d, float relative, const ScreenKernels::Items& items, int64_t first) {
  Vector largest = {}, square = {};
  for (int64_t c = 0; c < d; c++) {
    const Vector x = load(panel + c * panel_items + first), size = _mm512_abs_ps(x);
    largest = _mm512_max_ps(largest, size);
    square = multiply_add(x, x, square);
  }
  const Vector empty = broadcast(0), inverse = largest > empty ? broadcast(127) / largest : empty;
  const Vector scale = largest / broadcast(127);
  Vector lost = {};
  Integers sum = {};
  auto* words = reinterpret_cast<int32_t*>(items.values) + first;
  for (int64_t c = 0; c < d; c += 4, words += panel_items) {
    Integers word = {};
    for (int64_t i = 0; i < 4 && c + i < d; i++) {
      const Vector x = load(panel + (c + i) * panel_items + first);
      const auto rounded = reinterpret_cast<Integers>(_mm512_cvtps_epi32(x * inverse));
      const Vector difference = x - __builtin_convertvector(rounded, Vector) * scale;
      lost = multiply_add(difference, difference, lost);
      sum += rounded;
      word |= (rounded & 255) << static_cast<int>(8 * i);
    }
    *reinterpret_cast<AnyIntegers*>(words) = word;
  }
  *reinterpret_cast<AnyIntegers*>(items.offsets + first) = -128 * sum;

  const Vector given = load(panel + d * panel_items + first), bias = load(panel + (d + 1) * panel_items + first);
  const Vector slack = root(lost) + (broadcast(relative) + broadcast(rounding(d))) * root(square);
  store(items.scales + first, scale * given);
  store(items.slacks + first, slack * given * broadcast(safety));
  store(items.biases + first, bias + _mm512_abs_ps(bias) * broadcast(0x1p-20f));
  bool usable = true;
  for (int i = 0; i < width; i++) {
    if (bias[i] == -__builtin_inff()) {  // never found
      items.biases[first + i] = bias[i];
      items.scales[first + i] = items.slacks[first + i] = 0;
    } else {
      usable &= in_limits(largest[i]) && square[i] <= __FLT_MAX__ && __builtin_fabsf(bias[i]) <= most;
    }
  }
  return usable;
}

bool pack_items(const float* panel, int64_t d, float relative, const ScreenKernels::Items& items) {
  const bool left = pack_half(panel, d, relative, items, 0), right = pack_half(panel, d, relative, items, width);
  return left && right;
}

// Adds the products of four unsigned and four signed bytes to each lane. GCC 12 copies the sums to the stack and back
// around the intrinsic.
[[gnu::always_inline]] inline void add_products(Integers& sums, Integers left, Integers right) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(left), "v"(right));
}

template <int rows> bool score_rows(const ScreenKernels::Queries& queries, const ScreenKernels::Items& items, int64_t d,
                                    int32_t first_item, const TopkCandidates& found) {
  Integers sums[rows][2];
  const Integers offsets[2] = {load(items.offsets), load(items.offsets + width)};
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++) {
    for (int half = 0; half < 2; half++) sums[r][half] = offsets[half];
  }
  const auto* words = reinterpret_cast<const int32_t*>(queries.values);
  const auto* panel = reinterpret_cast<const int32_t*>(items.values);
  for (int64_t c = 0; c < d; c += 4, words += rows, panel += panel_items) {
    const Integers left = load(panel), right = load(panel + width);
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
      const Integers x = Integers{} + words[r];
      add_products(sums[r][0], x, left);
      add_products(sums[r][1], x, right);
    }
  }

  uint32_t hits[rows], any = 0;
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++) {
    const Vector norm = broadcast(queries.norms[r]), inverse = broadcast(queries.inverses[r]);
    const Vector threshold = broadcast(found.thresholds[r]) * inverse;
    hits[r] = 0;
    for (int half = 0; half < 2; half++) {
      const int at = half * width;
      const Vector slack = multiply_add(norm, load(items.slacks + at), inverse * load(items.biases + at));
      const Vector bound = multiply_add(__builtin_convertvector(sums[r][half], Vector), load(items.scales + at), slack);
      hits[r] |= above(bound, threshold) << at;
    }
    any |= hits[r];
  }
  if (!any) return false;
  for (int r = 0; r < rows; r++) {
    TopkKey* next = found.keys + r * found.capacity + found.counts[r];
    found.counts[r] += __builtin_popcount(hits[r]);
    for (uint32_t left = hits[r]; left; left &= left - 1) *next++ = topk_key(0, first_item + __builtin_ctz(left));
  }
  return true;
}

bool score(const ScreenKernels::Queries& queries, int64_t rows, const ScreenKernels::Items& items, int64_t d,
           int32_t first_item, const TopkCandidates& found) {
  using ScoreRows = decltype(&score_rows<1>);
  static constexpr ScoreRows table[tile_queries] = {
      score_rows<1>, score_rows<2>, score_rows<3>,  score_rows<4>,  score_rows<5>,  score_rows<6>,  score_rows<7>,
      score_rows<8>, score_rows<9>, score_rows<10>, score_rows<11>, score_rows<12>, score_rows<13>, score_rows<14>};
  return table[rows - 1](queries, items, d, first_item, found);
}

}  // namespace

const ScreenKernels screen_kernels = {pack_queries, pack_items, score};

}  // namespace sartor::cuda::SARTOR_ISA
