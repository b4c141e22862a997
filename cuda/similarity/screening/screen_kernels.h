// Products of 8-bit integers that bound scores from above, so that topk on the CPU computes few scores exactly.
//
// A query q is represented by integers q8 in [-127, 127] and a scale a, q = a q8 + dq; an item v by v8 and b,
// v = b v8 + dv. By the inequality of Cauchy and Schwarz,
//
//   <q, v> / a <= b <q8, v8> + |q8| (|dv| + r |v|),   r >= |dq| / |a q8|
//
// A pair whose bound is not above the query's threshold cannot be found. |dv| / |v| is about 0.01 for rows without
// outliers, so that few more pairs than those above the threshold remain. Bounds also include the rounding of fp32
// scores, up to most_columns.
#pragma once

#include <cstdint>

#include "similarity/topk_kernels.h"

namespace sartor::cuda {

struct ScreenKernels {
  static constexpr int64_t most_columns = 8192;

  // Of a tile of queries, which correspond to that of TopkKernels::pack_queries.
  struct Queries {
    const uint8_t* values;          // (steps, rows, 4) for steps = ceil(d / 4): q8 + 128, padded with 128
    const float *norms, *inverses;  // (rows) |q8|, 1 / a
  };
  // Of a panel of items, which correspond to that of TopkKernels::pack_items.
  struct Items {
    int8_t* values;                   // (steps, panel_items, 4): v8, padded with 0
    int32_t* offsets;                 // (panel_items) -128 sum v8
    float *scales, *slacks, *biases;  // (panel_items) b, |dv| + r |v|, both times the panel's scale; bias
  };

  // Converts a tile (d, rows) and raises `relative` to |dq| / |a q8| of its queries. Returns false, so that nothing
  // must be screened, if an element is not finite or is too large or too small for fp32 bounds.
  bool (*pack_queries)(const float* tile, int64_t rows, int64_t d, uint8_t* values, float* norms, float* inverses,
                       float& relative);

  // Converts a panel (d + 2, panel_items) with r = `relative`. Returns false, so that this panel must not be screened,
  // if an element or bias is not finite (a bias may be -inf), or too large or too small.
  bool (*pack_items)(const float* panel, int64_t d, float relative, const Items& items);

  // Appends the pairs whose bounds are above the query's threshold to its candidates, with score 0. Otherwise as
  // TopkKernels::score.
  bool (*score)(const Queries& queries, int64_t rows, const Items& items, int64_t d, int32_t first_item,
                const TopkCandidates& found);
};

namespace v4_vnni {
extern const ScreenKernels screen_kernels;
}

}  // namespace sartor::cuda
