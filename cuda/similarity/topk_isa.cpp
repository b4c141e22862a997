// Compiled once per instruction set (SARTOR_ISA); everything except the table at the end is local to this file.
#include "core/vectors_isa.h"
#include "similarity/topk_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

#ifdef __AVX512F__
constexpr int tile_queries = 14;  // 28 sums, 2 vectors of the panel, 1 of a query: 31 of 32 registers
#else
constexpr int tile_queries = 6;  // 12 sums, 2 vectors of the panel, 1 of a query: 15 of 16 registers
#endif
constexpr int panel_items = 2 * width;
constexpr int block_items = 16;  // items transposed together, as two halves of eight

using Eight = __m256;  // one column of eight items; wider vectors are not faster to transpose
Eight& eight_at(float* p) { return *reinterpret_cast<Eight*>(p); }

struct FourColumns {
  Eight column[4];
};

// Transposes the first four columns of eight rows that are `stride` apart, as two 4 x 4 blocks.
[[gnu::always_inline]] inline FourColumns transpose(const float* rows, int64_t stride) {
  const auto with_fourth_below = [&](int64_t r) {
    const __m128 low = _mm_loadu_ps(rows + r * stride), high = _mm_loadu_ps(rows + (r + 4) * stride);
    return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
  };
  const Eight r0 = with_fourth_below(0), r1 = with_fourth_below(1);
  const Eight r2 = with_fourth_below(2), r3 = with_fourth_below(3);
  const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(r0, r1));
  const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(r2, r3));
  const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(r0, r1));
  const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(r2, r3));
  return {_mm256_castpd_ps(_mm256_unpacklo_pd(low01, low23)), _mm256_castpd_ps(_mm256_unpackhi_pd(low01, low23)),
          _mm256_castpd_ps(_mm256_unpacklo_pd(high01, high23)), _mm256_castpd_ps(_mm256_unpackhi_pd(high01, high23))};
}

// Squared norms of a block, summed separately for columns 0, 1, 2 and 3 modulo 4.
struct Squares {
  Eight sum[2][4] = {};
};

// Calls use(c, half, x) for the columns of a full block from `first` on, `step` columns of each half in turn, as long
// as full steps remain; returns the first remaining column. Prefetches the block `ahead` blocks later: hardware
// prefetchers do not follow 16 rows at once.
template <int step, int ahead, _mm_hint hint, class Use>
int64_t walk(const float* block, int64_t d, int64_t first, Squares& squares, const Use& use) {
  const float* later = block + block_items * (ahead * d + first);
  int64_t c = first;
  for (; c + step <= d; c += step) {
#pragma GCC unroll 2
    for (int64_t half = 0; half < 2; half++) {
#pragma GCC unroll 4
      for (int64_t part = 0; part < step; part += 4, later += 32) {
        _mm_prefetch(later, hint);
        _mm_prefetch(later + 16, hint);
        const FourColumns four = transpose(block + 8 * half * d + c + part, d);
#pragma GCC unroll 4
        for (int64_t i = 0; i < 4; i++) {
          const Eight x = four.column[i];
          squares.sum[half][i] = _mm256_fmadd_ps(x, x, squares.sum[half][i]);
          use(c + part + i, half, x);
        }
      }
    }
  }
  return c;
}

// Calls use(c, half, x) for every column c of a block of `rows` <= block_items rows. x is 0 beyond them.
template <int step, int ahead, _mm_hint hint, class Use>
void each_column(const float* block, int64_t rows, int64_t d, Squares& squares, const Use& use) {
  int64_t c = 0;
  if (rows == block_items) {
    c = walk<step, ahead, hint>(block, d, 0, squares, use);
    if (step > 4) c = walk<4, ahead, hint>(block, d, c, squares, use);
  }
  for (; c < d; c += 4) {  // the rest, padded with zeros
    const int64_t columns = d - c < 4 ? d - c : 4;
    float part[block_items][4] = {};
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t i = 0; i < columns; i++) part[r][i] = block[r * d + c + i];
    }
    for (int64_t half = 0; half < 2; half++) {
      const FourColumns four = transpose(part[8 * half], 4);
      for (int64_t i = 0; i < columns; i++) {
        const Eight x = four.column[i];
        squares.sum[half][i] = _mm256_fmadd_ps(x, x, squares.sum[half][i]);
        use(c + i, half, x);
      }
    }
  }
}

// Sets the biases of items that must not be found to -inf, in a block whose `rows` items begin with item `first` of the
// range.
void mask(const TopkItemRange& items, int64_t first, int64_t rows, float* biases) {
  const int64_t word = (items.first + first) / 32, shift = (items.first + first) % 32;
  for (int64_t i = 0; i < rows; i++) {
    const bool allowed = !items.allowed || items.allowed[word] >> (shift + i) & 1;
    const bool denied = items.denied && items.denied[word] >> (shift + i) & 1;
    if (!allowed || denied) biases[i] = -__builtin_inff();
  }
}

// Computes scales and biases (block_items each) that turn sums into scores: -inf beyond `rows`.
void scales_and_biases(const Squares& squares, int64_t rows, const float* bias, bool cosine, float* scales,
                       float* biases) {
  for (int64_t half = 0; half < 2; half++) {
    const auto& sum = squares.sum[half];
    const Eight square = (sum[0] + sum[1]) + (sum[2] + sum[3]), one = _mm256_set1_ps(1);
    const Eight positive = _mm256_cmp_ps(square, Eight{}, _CMP_GT_OQ);
    eight_at(scales + 8 * half) = cosine ? _mm256_and_ps(positive, _mm256_div_ps(one, _mm256_sqrt_ps(square))) : one;
  }
  for (int64_t i = 0; i < block_items; i++) biases[i] = i >= rows ? -__builtin_inff() : bias ? bias[i] : 0;
}

void append(uint32_t hits, const float* scores, int32_t first_item, TopkKey* candidates, int32_t& count) {
  TopkKey* next = candidates + count;
  count += __builtin_popcount(hits);
  for (; hits; hits &= hits - 1) {
    const int i = __builtin_ctz(hits);
    *next++ = topk_key(scores[i], first_item + i);
  }
}

void pack_items(const TopkItemRange& items, float* panel) {
  const auto [rows, count, d, bias, cosine, id, allowed, denied] = items;
  float *scales = panel + d * panel_items, *biases = scales + panel_items;
  for (int64_t first = 0; first < panel_items; first += block_items) {
    const int64_t left = count - first < 0 ? 0 : count - first < block_items ? count - first : block_items;
    Squares squares;
    each_column<4, 2, _MM_HINT_T1>(rows + first * d, left, d, squares, [&](int64_t c, int64_t half, Eight x) {
      eight_at(panel + c * panel_items + first + 8 * half) = x;
    });
    scales_and_biases(squares, left, bias ? bias + first : nullptr, cosine, scales + first, biases + first);
    if (allowed || denied) mask(items, first, left, biases + first);
  }
}

void pack_queries(const float* queries, int64_t rows, int64_t d, bool cosine, float* tile) {
  float squares[tile_queries] = {}, scales[tile_queries];
  if (cosine) {
    for (int64_t c = 0; c < d; c++) {
      for (int64_t r = 0; r < rows; r++) squares[r] += queries[r * d + c] * queries[r * d + c];
    }
  }
  for (int64_t r = 0; r < rows; r++) scales[r] = !cosine ? 1 : squares[r] > 0 ? 1 / __builtin_sqrtf(squares[r]) : 0;
  for (int64_t c = 0; c < d; c++) {
    for (int64_t r = 0; r < rows; r++) tile[c * rows + r] = queries[r * d + c] * scales[r];
  }
}

template <int rows>
bool score_rows(const float* tile, const float* panel, int64_t d, int32_t first_item, const TopkCandidates& found) {
  Vector sums[rows][2] = {};
  for (int64_t c = 0; c < d; c++, tile += rows, panel += panel_items) {
    const Vector left = load(panel), right = load(panel + width);
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
      const Vector x = broadcast(tile[r]);
      sums[r][0] = multiply_add(x, left, sums[r][0]);
      sums[r][1] = multiply_add(x, right, sums[r][1]);
    }
  }

  const float *scales = panel, *biases = panel + panel_items;
  uint32_t hits[rows], any = 0;
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++) {
    const Vector threshold = broadcast(found.thresholds[r]);
    for (int half = 0; half < 2; half++) {
      sums[r][half] = multiply_add(sums[r][half], load(scales + half * width), load(biases + half * width));
    }
    hits[r] = above(sums[r][0], threshold) | above(sums[r][1], threshold) << width;
    any |= hits[r];
  }
  if (!any) return false;

  alignas(64) float scores[rows][panel_items];
#pragma GCC unroll 14
  for (int r = 0; r < rows; r++) {
    for (int half = 0; half < 2; half++) store(scores[r] + half * width, sums[r][half]);
  }
  for (int r = 0; r < rows; r++)
    append(hits[r], scores[r], first_item, found.keys + r * found.capacity, found.counts[r]);
  return true;
}

bool score(const float* tile, int64_t rows, const float* panel, int64_t d, int32_t first_item,
           const TopkCandidates& found) {
  using ScoreRows = decltype(&score_rows<1>);
  static constexpr ScoreRows table[] = {
      score_rows<1>,  score_rows<2>,  score_rows<3>, score_rows<4>,  score_rows<5>,  score_rows<6>,
#ifdef __AVX512F__
      score_rows<7>,  score_rows<8>,  score_rows<9>, score_rows<10>, score_rows<11>, score_rows<12>,
      score_rows<13>, score_rows<14>,
#endif
  };
  return table[rows - 1](tile, panel, d, first_item, found);
}

bool scan(const float* query, const TopkItemRange& items, const TopkCandidates& found) {
  const auto [rows, count, d, bias, cosine, first_item, allowed, denied] = items;
  Squares squares;
  Eight sums[2] = {};
  const auto multiply = [&](int64_t c, int64_t half, Eight x) {
    sums[half] = _mm256_fmadd_ps(_mm256_set1_ps(query[c]), x, sums[half]);
  };
  if (d < 384) {
    each_column<4, 1, _MM_HINT_T0>(rows, count, d, squares, multiply);
  } else {
    // Two blocks of long rows do not fit in the L1 cache, and rows with a stride of a page evict each other. They are
    // prefetched to L2 and read one cache line at a time.
    each_column<16, 2, _MM_HINT_T1>(rows, count, d, squares, multiply);
  }
  alignas(32) float scales[block_items], biases[block_items], scores[block_items];
  scales_and_biases(squares, count, bias, cosine, scales, biases);
  if (allowed || denied) mask(items, 0, count, biases);
  uint32_t hits = 0;
  for (int half = 0; half < 2; half++) {
    const Eight score = _mm256_fmadd_ps(sums[half], eight_at(scales + 8 * half), eight_at(biases + 8 * half));
    eight_at(scores + 8 * half) = score;
    hits |=
        static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(score, _mm256_set1_ps(found.thresholds[0]), _CMP_GT_OQ)))
        << 8 * half;
  }
  append(hits, scores, first_item, found.keys, found.counts[0]);
  return hits;
}

}  // namespace

const TopkKernels topk_kernels = {panel_items, tile_queries, block_items, pack_items, pack_queries, score, scan};

}  // namespace sartor::cuda::SARTOR_ISA
