// Inner loops of row_similarity. Compiled once per instruction set; everything except the table at the end is local to
// this file.
//
// A query has a sum for every row, to which it adds x y for each of its columns and each entry of the column: addresses
// are random, but different within a column, and the loop takes about as many cycles as there are products. Then the
// sums of all rows are compared with the threshold, a vector at a time, unless there are so few products that it is
// cheaper to look at the rows of the same entries again.
#include "core/vectors_isa.h"
#include "sparse/row_similarity_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

typedef float AnyPair __attribute__((vector_size(8), aligned(4)));
using Pair [[gnu::vector_size(8)]] = float;

// The sums of a row, per kind: how a product is added, and the similarity that they give.
struct Products {
  static constexpr int64_t lanes = 1;
  static void add(float* sums, float x, float y) { *sums += x * y; }
  static bool touched(float* sums) { return *sums != 0; }
  static void reset(float* sums) { *sums = 0; }
  static float similarity(const RowSimilarityTask&, int64_t, float* sums, int64_t) { return *sums; }
};

// xy, n
struct Counted {
  static constexpr int64_t lanes = 2;
  static void add(float* sums, float x, float y) {
    auto& pair = *reinterpret_cast<AnyPair*>(sums);
    pair += Pair{x, 1} * Pair{y, 1};
  }
  static bool touched(float* sums) { return sums[1] != 0; }
  static void reset(float* sums) { *reinterpret_cast<AnyPair*>(sums) = Pair{}; }
  static float similarity(const RowSimilarityTask& task, int64_t size, float* sums, int64_t row) {
    const PairSums pair = {sums[0], 0, 0, 0, 0, sums[1]};
    return pair_similarity(task.params, pair, task.sizes ? static_cast<double>(size + task.sizes[row]) : 0);
  }
};

// xy, y, yy, x, xx, n, 0, 0 in double precision, because variances are differences of sums
struct All {
  using Sums [[gnu::vector_size(64)]] = double;
  static constexpr int64_t lanes = sizeof(Sums) / sizeof(float);
  static Sums& of(float* sums) { return *reinterpret_cast<Sums*>(sums); }
  static void add(float* sums, double x, double y) {
    const Sums constant = {0, 0, 0, x, x * x, 1, 0, 0}, linear = {x, 1, 0, 0, 0, 0, 0, 0};
    const Sums square = {0, 0, 1, 0, 0, 0, 0, 0};
    of(sums) += constant + y * (linear + y * square);
  }
  static bool touched(float* sums) { return of(sums)[5] != 0; }
  static void reset(float* sums) { of(sums) = Sums{}; }
  static float similarity(const RowSimilarityTask& task, int64_t, float* sums, int64_t) {
    const Sums& all = of(sums);
    return pair_similarity(task.params, {all[0], all[3], all[1], all[4], all[2], all[5]}, 0);
  }
};

// Calls body(Kind()) for the sums that the task needs.
template <class Body> [[gnu::always_inline]] inline auto with_sums(const RowSimilarityTask& task, const Body& body) {
  switch (sums_of(task.params)) {
    case RowSums::products:
      return body(Products());
    case RowSums::counted:
      return body(Counted());
    default:
      return body(All());
  }
}

template <class Kind> void add_column(const Csr<const float>& columns, int64_t column, float x, float* sums) {
  const int32_t* rows = columns.columns;
  const float* values = columns.values;
  const int64_t end = columns.offsets[column + 1];
#pragma GCC unroll 4
  for (int64_t at = columns.offsets[column]; at < end; at++) Kind::add(sums + Kind::lanes * rows[at], x, values[at]);
}

constexpr int64_t block = 4 * width;  // rows that are scanned together

int64_t floats(RowSums sums, int64_t rows) {
  const int64_t lanes = sums == RowSums::products  ? Products::lanes
                        : sums == RowSums::counted ? Counted::lanes
                                                   : All::lanes;
  return lanes * ((rows + block - 1) / block * block);
}

void accumulate(const RowSimilarityTask& task, int64_t query, int64_t self, float* sums) {
  with_sums(task, [&]<class Kind>(Kind) {
    const auto& [rows, offsets, columns, values] = task.queries;
    const int64_t end = offsets[query + 1];
    for (int64_t at = offsets[query]; at < end; at++) {
      if (at + 1 < end) {
        const int64_t next = task.columns.offsets[columns[at + 1]];
        __builtin_prefetch(task.columns.columns + next);
        __builtin_prefetch(task.columns.values + next);
      }
      add_column<Kind>(task.columns, columns[at], values[at], sums);
    }
    if (self >= 0) Kind::reset(sums + Kind::lanes * self);
  });
}

[[gnu::always_inline]] inline void offer(const RowSimilarityTask& task, float similarity, int64_t row,
                                         RowCandidates& candidates) {
  if (similarity == 0 || !(similarity >= candidates.threshold)) return;
  if (similarity < 0 && !task.params.keep_negative) return;
  candidates.keys[candidates.count++] = topk_key(similarity, static_cast<int32_t>(row));
}

inline uint64_t other_than_zero(Vector x) {  // bit i: lane i
#ifdef __AVX512F__
  return _mm512_cmp_ps_mask(x, Vector{}, _CMP_NEQ_OQ);
#else
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x, Vector{}, _CMP_NEQ_OQ)));
#endif
}

// Few rows of a block have similarities above the threshold. Ids ascend, so that those equal to the threshold of a full
// list come too late.
[[gnu::always_inline]] inline void scan_block(Products, const RowSimilarityTask& task, int64_t, float* sums,
                                              int64_t row, RowCandidates& candidates) {
  const Vector threshold = broadcast(candidates.threshold);
  uint64_t found = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) found |= uint64_t{above(load(sums + row + i * width), threshold)} << (i * width);
  while (found) {
    const int at = __builtin_ctzll(found);
    found &= found - 1;
    offer(task, sums[row + at], row + at, candidates);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) store(sums + row + i * width, Vector{});
}

template <class Kind> [[gnu::always_inline]] inline void scan_block(Kind, const RowSimilarityTask& task, int64_t size,
                                                                    float* sums, int64_t row,
                                                                    RowCandidates& candidates) {
  constexpr int64_t step = Kind::lanes < width ? width : Kind::lanes;
  for (float *at = sums + Kind::lanes * row, *end = at + Kind::lanes * block; at < end; at += step) {
    if (Kind::lanes < width && !other_than_zero(load(at))) continue;
    for (float* of_row = at; of_row < at + step; of_row += Kind::lanes) {
      if (!Kind::touched(of_row)) continue;
      const int64_t touched = (of_row - sums) / Kind::lanes;
      offer(task, Kind::similarity(task, size, of_row, touched), touched, candidates);
      Kind::reset(of_row);
    }
  }
}

bool scan(const RowSimilarityTask& task, int64_t query, float* sums, RowPosition& at, RowCandidates& candidates) {
  const int64_t size = task.queries.offsets[query + 1] - task.queries.offsets[query];
  return with_sums(task, [&]<class Kind>(Kind kind) {
    for (; at.outer < task.rows; at.outer += block) {
      if (candidates.count + block > candidates.capacity) return false;
      scan_block(kind, task, size, sums, at.outer, candidates);
    }
    return true;
  });
}

bool revisit(const RowSimilarityTask& task, int64_t query, float* sums, RowPosition& at, RowCandidates& candidates) {
  const auto& [rows, offsets, query_columns, query_values] = task.queries;
  const int64_t size = offsets[query + 1] - offsets[query];
  return with_sums(task, [&]<class Kind>(Kind) {
    for (; at.outer < size; at.outer++, at.inner = 0) {
      const int64_t column = query_columns[offsets[query] + at.outer];
      const int64_t begin = task.columns.offsets[column], count = task.columns.offsets[column + 1] - begin;
      for (; at.inner < count; at.inner++) {
        if (candidates.count == candidates.capacity) return false;
        const int64_t row = task.columns.columns[begin + at.inner];
        float* of_row = sums + Kind::lanes * row;
        if (!Kind::touched(of_row)) continue;
        offer(task, Kind::similarity(task, size, of_row, row), row, candidates);
        Kind::reset(of_row);
      }
    }
    return true;
  });
}

}  // namespace

extern const RowSimilarityKernels row_similarity_kernels;
const RowSimilarityKernels row_similarity_kernels = {
    .floats = floats, .accumulate = accumulate, .scan = scan, .revisit = revisit, .block = block};

}  // namespace sartor::cuda::SARTOR_ISA
