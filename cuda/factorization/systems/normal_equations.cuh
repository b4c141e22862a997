// Normal equations on tensor cores: a block computes the upper triangle of G = P^T Q P and the right-hand sides of one
// row of a problem (see row_systems.cuh), in registers. The columns of P are the unknowns of the system, its rows are
// the terms that are added: P = Y in the primal system (terms are ratings), P = Y^T in the dual one (terms are
// features). Q: the weights of a weighted problem, otherwise the identity. For the precision, see split_products.cuh;
// the square roots of weights multiply features before they are split.
#pragma once

#include "factorization/systems/gram_shape.cuh"
#include "factorization/systems/split_products.cuh"

namespace sartor::cuda {

namespace normal {

// Square roots of the weights of 8 terms: read anew for each use, as registers are scarce.
struct Roots {
  const volatile float* roots;
  __device__ float scaled(float x, int half) const { return x * roots[4 * half]; }
};

template <class Shape, bool dual, class Weights>
__device__ Split load_unknowns(const float* stage, int term, int unknown, const Weights& weights) {
  return load_split < dual ? 1 : Shape::primal_stride, dual ? Shape::dual_stride : 1 > (stage, term, unknown, weights);
}

// A triangle of 64 unknowns: 8, 6, 4 and 2 products of 16 x 8. Those of unknowns from `valid` on may be omitted.
template <class Shape, bool dual, class Weights> __device__ void add_diagonal(float (*sums)[4], const float* stage,
                                                                              int term, int unknown, int valid,
                                                                              const Weights& weights) {
  Split parts[8];
#pragma unroll
  for (int j = 0; j < 8; j++) parts[j] = load_unknowns<Shape, dual>(stage, term, unknown + 8 * j, weights);
  add_products<4>(sums, parts[0], parts[1], parts);
  if (valid > 16) add_products<2>(sums + 8, parts[2], parts[3], parts + 2);
  if (valid <= 32) return;
  add_products<4>(sums + 4, parts[0], parts[1], parts + 4);
  add_products<4>(sums + 10, parts[2], parts[3], parts + 4);
  add_products<4>(sums + 14, parts[4], parts[5], parts + 4);
  if (valid > 48) add_products<2>(sums + 18, parts[6], parts[7], parts + 6);
}

template <class Shape, bool dual, class Weights> __device__ void add_square(float (*sums)[4], const float* stage,
                                                                            int term, const WarpTile& tile, int rows,
                                                                            int columns, const Weights& weights) {
  Split right[8];
#pragma unroll
  for (int j = 0; j < 8; j++) right[j] = load_unknowns<Shape, dual>(stage, term, tile.column + 8 * j, weights);
#pragma unroll
  for (int i = 0; i < Shape::height / 16; i++) {
    if (i * 16 >= rows) return;
    const Split top = load_unknowns<Shape, dual>(stage, term, tile.row + 16 * i, weights);
    const Split bottom = load_unknowns<Shape, dual>(stage, term, tile.row + 16 * i + 8, weights);
    add_products<4>(sums + 8 * i, top, bottom, right);
    if (columns > 32) add_products<4>(sums + 8 * i + 4, top, bottom, right + 4);
  }
}

}  // namespace normal

// Computes regions of P^T Q P.
template <class Problem, class Shape, bool dual> class NormalEquations {
 public:
  __device__ NormalEquations(const Problem& problem, const AlsRow& row, const GramRegion& region,
                             GramShared<Shape>& shared)
      : problem_(problem), row_(row), region_(region), shared_(shared) {}

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
      Term term = {};
      if (begin + t < end) {
        const float* second = problem_.second(row_, begin + t, row_.columns[begin + t]);
        term = problem_.term(row_.values[begin + t], second ? *second : 0);
      }
      store_term(0, term);
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
      if (problem_.aligned()) {
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
    if (rating < shared_.end && needs_terms()) {
      copy_async_4(shared_.values + at, row_.values + rating);
      const float* second = problem_.second(row_, rating, shared_.ids[at]);
      if (second) copy_async_4(shared_.seconds + at, second);
    }
    if (rating + ahead * depth < shared_.end) copy_async_4(shared_.ids + later, row_.columns + rating + ahead * depth);
  }
  __device__ bool needs_terms() const { return Problem::weighted || region_.triangle(); }
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
    const int64_t stride = problem_.stride();
    const int padded = Triangle::tiles(size()) * Triangle::side;
    float* to = stage_memory(stage);
#pragma unroll(step == 4 ? 2 : 1)
    for (int e = thread_index(); e < outer * inner; e += threads) {
      const int i = e % inner * step, o = e / inner, k = dual ? i : o, c = dual ? o : i;
      const int term = first_term(stage) + k, unknown = first + c;
      if (unknown >= padded) continue;
      float* target = to + (dual ? (column + c) * Shape::dual_stride + k : k * Shape::primal_stride + column + c);
      const int32_t id = shared_.ids[dual ? column + c : stage % ring * depth + k];
      const float* source = problem_.features() + id * stride + (dual ? term : unknown);
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

  __device__ void set_terms(int stage) const {
    if (threadIdx.x >= depth) return;
    const bool valid = first_term(stage) + threadIdx.x < shared_.end;
    const float second = valid && problem_.has_second() ? shared_.seconds[in_ring(stage)] : 0;
    store_term(stage, valid ? problem_.term(shared_.values[in_ring(stage)], second) : Term{});
  }
  __device__ void store_term(int stage, const Term& term) const {
    shared_.residuals[stage & 1][threadIdx.x] = term.residual;
    if constexpr (Problem::weighted) shared_.roots[stage & 1][threadIdx.x] = term.root;
  }

  __device__ void add_stage(int stage, GramSums<Shape>& sums) {
    const float* from = stage_memory(stage);
    const int terms = min(shared_.end - first_term(stage), depth);
    const int first = Shape::panels == 1 ? threadIdx.x / 32 * 8 : 0;  // four warps divide the terms
    const int last = Shape::panels == 1 ? min(first + 8, terms) : terms;
    for (int term = first; term < last; term += 8) {
      if constexpr (Problem::weighted) {
        const float* roots = shared_.roots[stage & 1] + term + thread_index() % 4;
        add_terms(from, term, normal::Roots{roots}, sums);
      } else {
        add_terms(from, term, NoWeights{}, sums);
      }
    }
    if constexpr (!dual) {
      if (needs_terms()) set_terms(stage + 1);
      if (region_.triangle()) add_right_sides(from, shared_.residuals[stage & 1], sums);
    }
  }

  template <class Weights>
  __device__ void add_terms(const float* from, int term, const Weights& weights, GramSums<Shape>& sums) {
    const WarpTile tile = warp_tile<Shape>(region_);
    const int rows = size() - unknown_of(tile.row), columns = size() - unknown_of(tile.column);
    if (columns <= 0) return;
    if (!tile.diagonal) {
      normal::add_square<Shape, dual>(sums.products, from, term, tile, rows, columns, weights);
      return;
    }
    normal::add_diagonal<Shape, dual>(sums.products, from, term, tile.column, columns, weights);
    if constexpr (Shape::panels == 4) {
      if (columns > Shape::panel) {
        normal::add_diagonal<Shape, dual>(sums.products + 20, from, term, tile.column + Shape::panel,
                                          columns - Shape::panel, weights);
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
    if constexpr (Problem::may_be_biased) sums.right.l += l;
  }

  const Problem& problem_;
  const AlsRow& row_;
  const GramRegion& region_;
  GramShared<Shape>& shared_;
};

}  // namespace sartor::cuda
