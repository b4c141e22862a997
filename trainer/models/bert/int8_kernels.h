// Products of 8-bit integers with 32-bit sums, for scoring. Weights are rounded by output, inputs by row while they
// come:
//
//   x_ik = (a_ik - zero_i) / scale_i,  a in 0 .. 255      w_kj = b_kj weight_scale_j,  b in -127 .. 127
//   y_ij = (sum_k a_ik b_kj - zero_i sum_k b_kj) weight_scale_j / scale_i + bias_j
//
// The sums are exact: a row's result has the same bits in any batch, and on any CPU up to the last multiplication.
#pragma once

#include <cstdint>

namespace sartor::bert {

constexpr int64_t int8_panel = 32;  // outputs side by side in a panel
constexpr int64_t int8_group = 4;   // inputs that one instruction sums

constexpr int64_t int8_inputs(int64_t inputs) { return (inputs + int8_group - 1) / int8_group * int8_group; }
constexpr int64_t int8_outputs(int64_t outputs) { return (outputs + int8_panel - 1) / int8_panel * int8_panel; }

struct Int8Weights {
  int64_t inputs, outputs;
  const int8_t*
      panels;  // [int8_outputs / panel][int8_inputs / group][panel][group], 0 beyond the matrix; 64-byte aligned
  const int32_t* sums;  // (int8_outputs) sum_k b_kj
  const float* scales;  // (int8_outputs)
  const float* bias;    // (int8_outputs)
};

struct Int8Rows {
  int64_t rows;
  const uint8_t* values;  // (rows, int8_inputs), 0 beyond the inputs
  const float* inverse_scales;
  const int32_t* zeros;
};

struct Int8Kernels {
  // Rounds rows of x (rows, columns) to `values` and its inverse scales and zeros.
  void (*round_rows)(const float* x, int64_t rows, int64_t columns, uint8_t* values, float* inverse_scales,
                     int32_t* zeros);
  // Outputs first .. first + count - 1 (multiples of the panel, except at the end) of all rows; `gelu` applies the
  // exact one, to 2e-7. y (rows, outputs).
  void (*product)(const Int8Rows& a, const Int8Weights& w, int64_t first, int64_t count, bool gelu, float* y);
};

const Int8Kernels& int8_kernels();  // of this CPU's best instruction set

namespace v3 {
extern const Int8Kernels int8_kernels;
}
namespace v4 {
extern const Int8Kernels int8_kernels;
extern const Int8Kernels int8_kernels_vnni;  // for a CPU with AVX512-VNNI, which x86-64-v4 does not promise
}  // namespace v4

}  // namespace sartor::bert
