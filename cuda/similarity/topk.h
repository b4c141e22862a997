// Top-k search: for each query the k items with the highest scores.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/context.h"
#include "core/device_buffer.h"
#include "core/views.h"

namespace sartor::cuda {

// centred_cosine: the mean of each row is subtracted from its columns first, for queries and items alike. This is
// Pearson's correlation over the columns.
enum class Similarity { cosine, centred_cosine, dot };

// Data type of the products. Sums are in fp32 on every device.
//
//   fp32        products as exact as those of fp32; on GPUs each operand is split into two TF32 numbers
//   tf32        GPUs round operands to TF32; on the CPU the same as fp32
//   fp16, bf16  operands are rounded: a row is represented by topk_row_scale() times a row of 16-bit numbers, so that
//               none overflows. Norms are those of the rounded rows.
enum class TopkPrecision { fp32, tf32, fp16, bf16 };

// Scale of a row in 16 bits: the power of two by which the largest |element|, given by its bits, is divided to be in
// [0.5, 1), limited to 2^-126 to 2^127. 1 if it is 0, infinite or NaN: as integers, the bits of numbers >= 0 ascend,
// and those of infinity and NaN are above all others.
constexpr float topk_row_scale(uint32_t largest) {
  const uint32_t exponent = largest >> 23, above = exponent < 253 ? exponent + 1 : 254;
  return largest == 0 || exponent == 255 ? 1 : __builtin_bit_cast(float, above << 23);
}

struct TopkParams {
  int64_t k = 10;  // results per query
  Similarity similarity = Similarity::cosine;
  TopkPrecision precision = TopkPrecision::fp32;
  int64_t workspace_bytes = 0;  // bound of the scratch memory on a GPU; 0: 1/16 of the device's memory, at most 1 GiB
};

// How a device keeps the rows of one side of a search.
struct TopkRowsLayout {
  int element_bytes;  // of a copy, 4 (fp32) or 2 (fp16, bf16). 0: the rows are used as they are, and there is no copy
  int64_t stride;     // elements from row to row. On a GPU copies are padded with zeros to a multiple of 16 bytes
  bool scaled;        // whether there is a factor for each row that turns sums into scores

  int64_t bytes(int64_t rows) const { return rows * stride * element_bytes; }  // of the copy
};

// On the CPU only centred and rounded rows are copied, and copies are fp32: rounded elements are kept as fp32 numbers,
// divided by their row's scale for cosines and not for dot; norms are computed during the search. On a GPU rows are
// copied in the same cases, and scaled except for dot in fp32 and tf32.
constexpr TopkRowsLayout topk_rows_layout(bool gpu, Similarity similarity, TopkPrecision precision, int64_t columns) {
  const bool rounded = precision == TopkPrecision::fp16 || precision == TopkPrecision::bf16;
  const bool scaled = gpu && (rounded || similarity != Similarity::dot);
  if (!rounded && similarity != Similarity::centred_cosine) return {0, columns, scaled};
  const int bytes = gpu && rounded ? 2 : 4, group = gpu ? 16 / bytes : 1;
  return {bytes, (columns + group - 1) / group * group, scaled};
}

// Arguments of prepare_topk_rows. All arrays are in the context's memory.
struct TopkRowsTask {
  Rows<const float> rows;  // (n, d)
  Similarity similarity = Similarity::cosine;
  TopkPrecision precision = TopkPrecision::fp32;
  void* copy = nullptr;    // (n, stride) elements of the layout, overwritten; null if the layout has no copy
  float* scale = nullptr;  // (n), overwritten: 1 / norm of the copied row (0 for a zero row) for cosines,
                           // topk_row_scale() for dot; null if the layout is not scaled
};

// Makes rows ready for a search according to topk_rows_layout(): centres and rounds them, then computes their scales.
// Means and differences are computed in fp64, so that constant rows become exactly 0. `copy` must not overlap `rows`.
void prepare_topk_rows(Context& context, const TopkRowsTask& task);

// Items made ready for many searches: what depends on them alone is computed once. Must not outlive its context. If the
// layout has no copy, the object refers to the caller's rows, which must stay; otherwise they are no longer needed.
class TopkItems {
 public:
  // rows (N, d) in the context's memory. Throws std::invalid_argument if N >= 2^31.
  TopkItems(Context& context, Rows<const float> rows, Similarity similarity, TopkPrecision precision);

  int64_t count() const { return given_.rows; }
  int64_t columns() const { return given_.columns; }
  Similarity similarity() const { return similarity_; }
  TopkPrecision precision() const { return precision_; }

  // (N, stride) fp32 or, on a GPU with 16 bits, fp16 or bf16; the elements of a row beyond `columns` must be zero.
  const void* rows() const { return layout_.element_bytes > 0 ? static_cast<const void*>(copy_.data()) : given_.data; }
  int64_t stride() const { return layout_.stride; }
  const float* scale() const { return scale_.data(); }  // (N) or null, see TopkRowsTask

 private:
  Rows<const float> given_;
  Similarity similarity_;
  TopkPrecision precision_;
  TopkRowsLayout layout_;
  DeviceBuffer<std::byte> copy_;
  DeviceBuffer<float> scale_;
};

// Arguments of topk. All arrays are in the context's memory.
struct TopkTask {
  Rows<const float> queries;            // (Q, d), d >= 0
  Rows<const float> items;              // (N, d), N < 2^31. Not read if `prepared` is given
  const TopkItems* prepared = nullptr;  // items to search instead, with similarity and precision as in `params`
  const float* item_bias = nullptr;     // (N) or null; only with dot
  IdLists excluded;                     // item ids to exclude per query, ascending; rows = 0 for none

  // Sets of items as bits, (ceil(N / 32)) words or null: item j is bit j % 32 of word j / 32. Only items in `allowed`
  // and not in `denied` are found.
  const uint32_t *allowed = nullptr, *denied = nullptr;

  TopkParams params;
  TopK found;  // (Q, k), overwritten
};

// Finds for each query the k items with the highest scores, best first.
//
//   cosine          score(q, j) = <query_q, item_j> / (|query_q| |item_j|),  0 if a norm is 0
//   centred_cosine  the same after each row's mean was subtracted from it
//   dot             score(q, j) = <query_q, item_j> + item_bias_j
//
// Ties are broken by the lower id; items with score NaN or -inf are not found. If fewer than k items are found, the
// rest of the row has id -1 and score -inf.
//
// Sums are in fp32. Results are bitwise reproducible; on the CPU they depend neither on the number of threads nor on
// the other queries of the call. Throws std::invalid_argument if d differs, k is outside 1 to N, `excluded` or `found`
// do not have Q rows, a bias is given with a cosine, or the similarity or precision of `prepared` differs.
//
// Scratch memory on the CPU: 4 d + 16 k (with VNNI 5 d + 16 k) bytes per thread for each of at most 1024 queries; with
// fewer than 128 queries another 8 k bytes per query and thread; and the layout's copies of queries and, without
// `prepared`, of items. The Q x N score matrix is not stored. On a GPU: see TopkParams. There a call without `prepared`
// also allocates memory for what it prepares, and waits until the search has ended.
void topk(Context& context, const TopkTask& task);

}  // namespace sartor::cuda
