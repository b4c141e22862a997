// Normal equations on tensor cores: a block computes the upper triangle of G = P^T P and the right-hand sides of one
// row of als_update, in registers. The columns of P are the unknowns of the system, its rows are the terms that are
// added: P = Y in the primal system (terms are ratings), P = Y^T in the dual one (terms are features).
//
// Precision: each element is the sum of two TF32 numbers, high + low, up to 2^-22 of its magnitude. A product is the
// sum of low * high, high * low and high * high; the omitted low * low is below 2^-22 of it. Tensor cores truncate
// their sums, which would accumulate to a bias in long rows. Therefore the products of 8 terms are summed from 0,
// smallest first, and added outside the tensor core with fp32 rounding (Ootomo and Yokota 2022): at most three
// truncations of 2^-23 relative to the sum of 8 terms, independent of the number of terms.
#pragma once

#include "core/gpu/tensor_cores.cuh"
#include "factorization/gram_shape.cuh"

namespace sartor::cuda {

namespace gram {

// 8 terms x 8 unknowns: terms l % 4 and l % 4 + 4 of unknown l / 4.
struct Split {
  uint32_t high[2], low[2];
};

template <class Shape, bool dual> __device__ Split load_split(const float* stage, int term, int unknown) {
  constexpr int term_stride = dual ? 1 : Shape::primal_stride, unknown_stride = dual ? Shape::dual_stride : 1;
  const int lane = threadIdx.x % 32;
  const float* at = stage + (term + lane % 4) * term_stride + (unknown + lane / 4) * unknown_stride;
  Split to;
  split_tf32(at[0], to.high[0], to.low[0]);
  split_tf32(at[4 * term_stride], to.high[1], to.low[1]);
  return to;
}

// sums += [top bottom]^T right for `count` times 8 unknowns on the right.
template <int count>
__device__ void add_products(float (*sums)[4], const Split& top, const Split& bottom, const Split* right) {
  const uint32_t high[4] = {top.high[0], bottom.high[0], top.high[1], bottom.high[1]};
  const uint32_t low[4] = {top.low[0], bottom.low[0], top.low[1], bottom.low[1]};
  Sums16x8 fresh[count];
#pragma unroll
  for (int j = 0; j < count; j++) multiply_tf32(fresh[j], low, right[j].high);
#pragma unroll
  for (int j = 0; j < count; j++) multiply_add_tf32(fresh[j], high, right[j].low);
#pragma unroll
  for (int j = 0; j < count; j++) multiply_add_tf32(fresh[j], high, right[j].high);
#pragma unroll
  for (int j = 0; j < count; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) sums[j][e] += fresh[j][e];
  }
}

// A triangle of 64 unknowns: 8, 6, 4 and 2 products of 16 x 8. Those of unknowns from `valid` on may be omitted.
template <class Shape, bool dual>
__device__ void add_diagonal(float (*sums)[4], const float* stage, int term, int unknown, int valid) {
  Split parts[8];
#pragma unroll
  for (int j = 0; j < 8; j++) parts[j] = load_split<Shape, dual>(stage, term, unknown + 8 * j);
  add_products<4>(sums, parts[0], parts[1], parts);
  if (valid > 16) add_products<2>(sums + 8, parts[2], parts[3], parts + 2);
  if (valid <= 32) return;
  add_products<4>(sums + 4, parts[0], parts[1], parts + 4);
  add_products<4>(sums + 10, parts[2], parts[3], parts + 4);
  add_products<4>(sums + 14, parts[4], parts[5], parts + 4);
  if (valid > 48) add_products<2>(sums + 18, parts[6], parts[7], parts + 6);
}

template <class Shape, bool dual> __device__ void add_square(float (*sums)[4], const float* stage, int term,
                                                             const WarpTile& tile, int rows, int columns) {
  Split right[8];
#pragma unroll
  for (int j = 0; j < 8; j++) right[j] = load_split<Shape, dual>(stage, term, tile.column + 8 * j);
#pragma unroll
  for (int i = 0; i < Shape::height / 16; i++) {
    if (i * 16 >= rows) return;
    const Split top = load_split<Shape, dual>(stage, term, tile.row + 16 * i);
    const Split bottom = load_split<Shape, dual>(stage, term, tile.row + 16 * i + 8);
    add_products<4>(sums + 8 * i, top, bottom, right);
    if (columns > 32) add_products<4>(sums + 8 * i + 4, top, bottom, right + 4);
  }
}

}  // namespace gram

// Computes regions of P^T P.
template <class Shape, bool dual> class NormalEquations {
 public:
  __device__ NormalEquations(const AlsTask& task, const AlsRow& row, const GramRegion& region,
                             GramShared<Shape>& shared)
      : task_(task), row_(row), region_(region), shared_(shared) {}

  // Adds terms begin to end - 1, in stages of Shape::depth. While a stage is used, the next ones are copied to shared
  // memory. Ids of rows of Y are copied before the stage that they belong to, ratings one stage before they are used.
  __device__ void add(int begin, int end, GramSums<Shape>& sums) {
    __syncthreads();  // shared memory is free
    if (thread_index() == 0) shared_.begin = begin, shared_.end = end;
    prepare(begin, end);
    __syncthreads();
    for (int stage = -ahead; first_term(stage) < shared_.end; stage++) {
      if (stage >= 0) {
        wait_for_copies<ahead - 1>();
        __syncthreads();
      }
      copy_stage(stage + ahead);
      if (stage >= 0) add_stage(stage, sums);
    }
    wait_for_copies<0>();
  }

 private:
  static constexpr int threads = Shape::threads, depth = Shape::depth, ahead = Shape::stages - 1;
  static constexpr int ring = Shape::id_stages;

  __device__ float* stage_memory(int stage) const { return shared_.stages[stage % Shape::stages]; }

  __device__ void prepare(int begin, int end) const {
    const int t = thread_index();
    if constexpr (dual) {
      for (int c = t; c < Shape::columns; c += threads) {
        const int unknown = unknown_of(c);
        shared_.ids[c] = unknown < size() ? row_.columns[unknown] : 0;
      }
    } else {
      for (int k = t; k < depth * (ahead + 1); k += threads) {
        shared_.ids[k] = begin + k < end ? row_.columns[begin + k] : 0;
      }
      if (t >= depth) return;
      float residual = 0;
      if (begin + t < end) {
        residual = row_.values[begin + t] - task_.mean;
        if (task_.fixed_bias) residual -= task_.fixed_bias[row_.columns[begin + t]];
      }
      shared_.residuals[0][t] = residual;
    }
  }

  __device__ int size() const { return static_cast<int>(row_.size()); }
  __device__ int first_term(int stage) const { return shared_.begin + stage * depth; }

  // The unknown of a column of a stage.
  __device__ int unknown_of(int column) const {
    return column < Shape::unknowns ? region_.first + column : region_.above + column - Shape::unknowns;
  }

  // Starts to copy a stage, if there is one. Always commits a group.
  __device__ void copy_stage(int stage) const {
    if (first_term(stage) < shared_.end) {
      if (task_.fixed.columns % 4 == 0 && reinterpret_cast<uintptr_t>(task_.fixed.data) % 16 == 0) {
        copy_columns<4>(stage);
      } else {
        copy_columns<1>(stage);
      }
    }
    if constexpr (!dual) {
      if (threadIdx.x < depth) copy_rating(stage + 1);
    }
    commit_copies();
  }
  // Copies this thread's rating of a stage, and the id of a later one.
  __device__ void copy_rating(int stage) const {
    const int rating = first_term(stage) + threadIdx.x, at = in_ring(stage), later = in_ring(stage + ahead);
    if (rating < shared_.end && region_.triangle()) {
      copy_async_4(shared_.values + at, row_.values + rating);
      if (task_.fixed_bias) copy_async_4(shared_.biases + at, task_.fixed_bias + shared_.ids[at]);
    }
    if (rating + ahead * depth < shared_.end) copy_async_4(shared_.ids + later, row_.columns + rating + ahead * depth);
  }
  __device__ int in_ring(int stage) const { return stage % ring * depth + thread_index(); }

  template <int step> __device__ void copy_columns(int stage) const {
    copy_columns<step, Shape::unknowns>(stage, region_.first, 0);
    if constexpr (Shape::columns > Shape::unknowns) {
      if (!region_.triangle()) {
        copy_columns<step, Shape::columns - Shape::unknowns>(stage, region_.above, Shape::unknowns);
      }
    }
  }
  // Copies `count` unknowns to the columns of the stage from `column` on, `step` elements at a time. Terms and unknowns
  // beyond the last are set to 0, up to whole tiles.
  template <int step, int count> __device__ void copy_columns(int stage, int first, int column) const {
    constexpr int inner = (dual ? depth : count) / step, outer = dual ? count : depth;
    const int64_t f = task_.fixed.columns;
    const int padded = Triangle::tiles(size()) * Triangle::side;
    float* to = stage_memory(stage);
#pragma unroll(step == 4 ? 2 : 1)
    for (int e = thread_index(); e < outer * inner; e += threads) {
      const int i = e % inner * step, o = e / inner, k = dual ? i : o, c = dual ? o : i;
      const int term = first_term(stage) + k, unknown = first + c;
      if (unknown >= padded) continue;
      float* target = to + (dual ? (column + c) * Shape::dual_stride + k : k * Shape::primal_stride + column + c);
      const int32_t id = shared_.ids[dual ? column + c : stage % ring * depth + k];
      const float* source = task_.fixed.data + id * f + (dual ? term : unknown);
      if (term < shared_.end && unknown < size()) {
        if constexpr (step == 4) {
          copy_async_16(target, source);
        } else {
          copy_async_4(target, source);
        }
      } else if constexpr (step == 4) {
        *reinterpret_cast<float4*>(target) = float4{};
      } else {
        *target = 0;
      }
    }
  }

  __device__ void set_residuals(int stage) const {
    if (threadIdx.x >= depth) return;
    const bool valid = first_term(stage) + threadIdx.x < shared_.end;
    const float bias = valid && task_.fixed_bias ? shared_.biases[in_ring(stage)] : 0;
    shared_.residuals[stage & 1][threadIdx.x] = valid ? shared_.values[in_ring(stage)] - task_.mean - bias : 0;
  }

  __device__ void add_stage(int stage, GramSums<Shape>& sums) {
    const float* from = stage_memory(stage);
    const int terms = min(shared_.end - first_term(stage), depth);
    const int first = Shape::panels == 1 ? threadIdx.x / 32 * 8 : 0;  // four warps divide the terms
    const int last = Shape::panels == 1 ? min(first + 8, terms) : terms;
    for (int term = first; term < last; term += 8) add_terms(from, term, sums);
    if constexpr (!dual) {
      if (region_.triangle()) set_residuals(stage + 1);
      if (region_.triangle()) add_right_sides(from, shared_.residuals[stage & 1], sums);
    }
  }

  __device__ void add_terms(const float* from, int term, GramSums<Shape>& sums) {
    const WarpTile tile = warp_tile<Shape>(region_);
    const int rows = size() - unknown_of(tile.row), columns = size() - unknown_of(tile.column);
    if (columns <= 0) return;
    if (!tile.diagonal) {
      gram::add_square<Shape, dual>(sums.products, from, term, tile, rows, columns);
      return;
    }
    gram::add_diagonal<Shape, dual>(sums.products, from, term, tile.column, columns);
    if constexpr (Shape::panels == 4) {
      if (columns > Shape::panel) {
        gram::add_diagonal<Shape, dual>(sums.products + 20, from, term, tile.column + Shape::panel,
                                        columns - Shape::panel);
      }
    }
  }

  // Each thread has one unknown. If there are more threads, they divide the terms.
  __device__ void add_right_sides(const float* from, const float* residuals, GramSums<Shape>& sums) {
    constexpr int terms = depth * Shape::unknowns / threads;
    const int c = threadIdx.x % Shape::unknowns, first = threadIdx.x / Shape::unknowns * terms;
    if (threadIdx.x < depth) sums.right.total += residuals[threadIdx.x];
    if (region_.first + c >= size()) return;
    float z = 0, l = 0;
#pragma unroll
    for (int k = first; k < first + terms; k += 4) {
      const float4 r = *reinterpret_cast<const float4*>(residuals + k);
      const float* y = from + k * Shape::primal_stride + c;
      z = fmaf(r.x, y[0], z), l += y[0];
      z = fmaf(r.y, y[Shape::primal_stride], z), l += y[Shape::primal_stride];
      z = fmaf(r.z, y[2 * Shape::primal_stride], z), l += y[2 * Shape::primal_stride];
      z = fmaf(r.w, y[3 * Shape::primal_stride], z), l += y[3 * Shape::primal_stride];
    }
    sums.right.z += z;
    sums.right.l += l;
  }

  const AlsTask& task_;
  const AlsRow& row_;
  const GramRegion& region_;
  GramShared<Shape>& shared_;
};

}  // namespace sartor::cuda
