// Products of a scoring model's linear layers: rows of inputs with a weight that was laid out once. A row's result has
// the same bits in any batch.
//
// Weights of 8 bits are rounded by output, their inputs by row while they come, and the 32-bit sums are exact:
//
//   x_ik = (a_ik - zero_i) / scale_i,  a in 0 .. 255      w_kj = b_kj weight_scale_j,  |b| <= largest_weight
//   y_ij = (sum_k a_ik b_kj - zero_i sum_k b_kj) weight_scale_j / scale_i + bias_j
//
// In bf16 both operands are rounded and sums are fp32, always in the same order.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// Outputs stand side by side in panels, of int8 and of fp32; their number is filled up to whole ones of the former.
constexpr int64_t product_panel = 32;
constexpr int64_t fp32_panel = 16;
constexpr int64_t int8_group = 4, bf16_group = 2;  // inputs that one instruction sums

constexpr int64_t int8_inputs(int64_t inputs) { return (inputs + int8_group - 1) / int8_group * int8_group; }
constexpr int64_t bf16_inputs(int64_t inputs) { return (inputs + bf16_group - 1) / bf16_group * bf16_group; }
constexpr int64_t panel_outputs(int64_t outputs) {
  return (outputs + product_panel - 1) / product_panel * product_panel;
}

// Panels are 0 beyond the matrix and aligned to 64 bytes.
struct Fp32Weights {
  int64_t inputs, outputs;
  const float* panels;  // [panel_outputs / fp32_panel][inputs][fp32_panel]
  const float* bias;    // (panel_outputs)
};

struct Int8Weights {
  int64_t inputs, outputs;
  const int8_t* panels;  // [panel_outputs / panel][int8_inputs / group][panel][group]
  const int32_t* sums;   // (panel_outputs) sum_k b_kj
  const float* scales;   // (panel_outputs)
  const float* bias;     // (panel_outputs)
};

struct Bf16Weights {
  int64_t inputs, outputs;
  const uint16_t* panels;  // [panel_outputs / panel][bf16_inputs / group][panel][group]
  const float* bias;       // (panel_outputs)
};

struct Int8Rows {
  int64_t rows;
  const uint8_t* values;  // (rows, int8_inputs), 0 beyond the inputs
  const float* inverse_scales;
  const int32_t* zeros;
};

// Products are of outputs first .. first + count - 1 (multiples of the panel, except at the end) of all rows;
// `with_gelu` applies the exact one, to 2e-7. y (rows, outputs).
struct ProductKernels {
  void (*fp32)(const float* x, int64_t rows, const Fp32Weights& w, int64_t first, int64_t count, bool with_gelu,
               float* y);
  void (*int8)(const Int8Rows& a, const Int8Weights& w, int64_t first, int64_t count, bool with_gelu, float* y);
  // x (rows, bf16_inputs), finite beyond the inputs. Null where the CPU has no instruction for it.
  void (*bf16)(const uint16_t* x, int64_t rows, const Bf16Weights& w, int64_t first, int64_t count, bool with_gelu,
               uint16_t* y);
  // Rounds rows of x (rows, columns) to `values` and its inverse scales and zeros.
  void (*round_rows)(const float* x, int64_t rows, int64_t columns, uint8_t* values, float* inverse_scales,
                     int32_t* zeros);
  // 127; 63 where there is no VNNI and the products of two inputs are summed to 16 bits first.
  int32_t largest_weight;
};

const ProductKernels& product_kernels();  // of this CPU's best instruction set

namespace v3 {
extern const ProductKernels product_kernels;
}
namespace v4 {
extern const ProductKernels product_kernels;
}
namespace v4_vnni {
extern const ProductKernels product_kernels;
}
namespace v4_bf16 {
extern const ProductKernels product_kernels;
}

}  // namespace sartor::cuda
