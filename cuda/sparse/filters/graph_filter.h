// Polynomial filters of the graph of items that users share, applied to many signals.
#pragma once

#include <span>

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of graph_filter. All arrays except the coefficients are in the context's memory.
struct GraphFilterTask {
  Csr<const float> by_user, by_item;    // R (U, I), its singular values at most 1, and R^T
  Csr<const float> signals;             // (Q, I) x
  std::span<const float> coefficients;  // c of T_0, ..., T_K on the host, K >= 1
  const float* scale = nullptr;         // (I) s of each item, or null for 1
  Rows<float> filtered;                 // (Q, I), overwritten
};

// Computes, with the Chebyshev polynomials T_k and the similarity of items P = R^T R,
//
//   filtered = s h(P) x,   h(P) = sum over k of c_k T_k(1 - 2 P)
//
// by Clenshaw's recurrence: 2 K products of R or R^T with vectors for each signal, the first of which is sparse on the
// CPU. P is never formed. Sums are in fp32; a signal's result depends neither on the others nor on the number of
// threads. Scratch memory: 64 (2 I + U) bytes per thread on the CPU, 256 (2 I + U) bytes on a GPU. Throws
// std::invalid_argument if there are fewer than two coefficients, or the numbers of users, items or signals differ.
void graph_filter(Context& context, const GraphFilterTask& task);

}  // namespace sartor::cuda
