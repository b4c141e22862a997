// Linear layers for inference: rows of inputs times a weight that is packed once. The result of a row is bitwise the
// same in any batch.
//
// In int8, weights are quantized per output and inputs dynamically per row; the 32-bit sums are exact:
//
//   x_ik = (a_ik - zero_i) / scale_i,  a in 0 .. 255      w_kj = b_kj weight_scale_j,  |b| <= largest_weight
//   y_ij = (sum_k a_ik b_kj - zero_i sum_k b_kj) weight_scale_j / scale_i + bias_j
//
// Where bytes are too coarse, x_i is the sum of two rounded rows, of which the second rounds the remainder of the
// first.
//
// In bf16, both operands are rounded; sums are in fp32, in a fixed order.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// Weights are stored in panels of adjacent outputs. The number of outputs is padded to a multiple of product_panel.
constexpr int64_t product_panel = 32;
constexpr int64_t int8_group = 4, bf16_group = 2;  // inputs per lane of an instruction

constexpr int64_t int8_inputs(int64_t inputs) { return (inputs + int8_group - 1) / int8_group * int8_group; }
constexpr int64_t bf16_inputs(int64_t inputs) { return (inputs + bf16_group - 1) / bf16_group * bf16_group; }
constexpr int64_t panel_outputs(int64_t outputs) {
  return (outputs + product_panel - 1) / product_panel * product_panel;
}

// Panels are padded with zeros and aligned to 64 bytes.
struct Fp32Weights {
  int64_t inputs, outputs;
  const float* panels;  // [panel_outputs / panel][inputs][panel]
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
  int64_t rows;           // if in pairs, twice the rows of the result
  const uint8_t* values;  // (rows, int8_inputs), padded with zeros
  const float* inverse_scales;
  const int32_t* zeros;
  bool in_pairs = false;  // rows 2 i and 2 i + 1 are the two terms of x_i
};

// Computes y (rows, outputs) for the outputs first to first + count - 1, multiples of the panel except at the end.
// `with_gelu` applies the exact GELU with an error of at most 2e-7.
struct ProductKernels {
  void (*fp32)(const float* x, int64_t rows, const Fp32Weights& w, int64_t first, int64_t count, bool with_gelu,
               float* y);
  void (*int8)(const Int8Rows& a, const Int8Weights& w, int64_t first, int64_t count, bool with_gelu, float* y);
  // x (rows, bf16_inputs); its padding must be finite. Null if the CPU does not support bf16 dot products.
  void (*bf16)(const uint16_t* x, int64_t rows, const Bf16Weights& w, int64_t first, int64_t count, bool with_gelu,
               uint16_t* y);
  // Quantizes rows of x (rows, columns) to values, inverse scales and zeros.
  void (*round_rows)(const float* x, int64_t rows, int64_t columns, uint8_t* values, float* inverse_scales,
                     int32_t* zeros);
  // 127; without VNNI 63, because two products are first summed in 16 bits.
  int32_t largest_weight;
};

const ProductKernels& product_kernels();  // for the best instruction set of this CPU

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
