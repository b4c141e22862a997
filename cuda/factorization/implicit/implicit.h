// Matrix factorization of implicit feedback by alternating least squares: one half of an epoch.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

enum class ImplicitObjective {
  hu_koren,  // Hu, Koren and Volinsky 2008: q = alpha v, b = 1 + alpha v
  ials       // Rendle et al. 2022: q = b = alpha v
};

enum class ImplicitSolver {
  cg,        // conjugate gradient steps from the previous solution
  cholesky,  // the exact solution
  block      // iALS++ (Rendle et al. 2021): blocks of factors one after the other, each solved exactly
};

struct ImplicitParams {
  ImplicitObjective objective = ImplicitObjective::ials;
  float alpha = 1;                 // >= 0
  float unobserved_weight = 0.1f;  // a0, >= 0: weight of all pairs
  float regularization = 0.01f;    // lambda, >= 0
  float regularization_power = 1;  // nu, 0 to 1
  ImplicitSolver solver = ImplicitSolver::cg;
  int64_t cg_steps = 3;  // >= 1
  int64_t block = 64;    // factors per block, >= 1
};

// Arguments of implicit_update. All arrays are in the context's memory.
struct ImplicitTask {
  Csr<const float> entries;  // (R, C) values v >= 0; columns are rows of `fixed`
  Rows<const float> fixed;   // (C, f) y
  float* gram;               // (f, f) G = Y^T Y on and to the right of the diagonal; the rest is filled in
  Rows<float> solved;        // (R, f) x; where cg and block start
  ImplicitParams params;
};

// Improves or solves every row of `solved` for given `fixed`:
//
//   minimize over x_r:   a0 sum over all c of <x_r, y_c>^2
//                        + sum over entries c of (q_rc <x_r, y_c>^2 - 2 b_rc <x_r, y_c>)
//                        + lambda_r |x_r|^2,     lambda_r = lambda (n_r + a0 C)^nu,   n_r = number of the row's entries
//
//   (a0 G + sum q y y^T + lambda_r I) x = sum b y
//
// Rows without entries become 0, their exact solution. A singular system of cholesky or block (lambda = 0 with
// dependent columns of y) is solved with the smallest shift of 1e-6, 1e-5, ... times the mean diagonal entry that makes
// it solvable. Rows that depend on non-finite values become NaN.
//
// Scratch memory on the CPU: f^2 floats, or f^2 / 2 for cholesky, and f s / 2 for blocks of s factors. Per thread,
// about 200 f floats for cg, and s^2 / 2 + 180 s + 50 f and one per entry of the longest row for blocks (cholesky: s =
// f). On a GPU, up to 0.3 GiB for cg, as much as als_update with s factors for blocks, besides up to 0.3 GiB and one
// float per entry unless s = f; more only if a single row needs it. A row's result depends neither on the other rows
// nor on the number of threads. Throws std::invalid_argument if the numbers of factors or rows differ, f < 1, or a
// parameter is out of range.
void implicit_update(Context& context, const ImplicitTask& task);

// Arguments of gram. All arrays are in the context's memory.
struct GramTask {
  Rows<const float> rows;       // (C, f) y
  int64_t first = 0, last = 0;  // rows of the result, multiples of gram_tile, or f
  float* gram;                  // (f, f)
};

constexpr int64_t gram_tile = 64;

// Computes rows first to last - 1 of G = Y^T Y on and to the right of the diagonal. An entry is the sum over fixed
// blocks of rows of Y, in order, and depends neither on `first` and `last` nor on the number of threads. Scratch memory
// on a GPU: up to 32 MiB.
void gram(Context& context, const GramTask& task);

}  // namespace sartor::cuda
