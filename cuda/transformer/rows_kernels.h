// Operations of decoders on rows of the CPU: rotary embeddings, activations and the loss of a language model. Compiled
// once per instruction set. The arithmetic is in fp32.
#pragma once

#include <cstdint>

#include "transformer/store.h"

namespace sartor::cuda {

// Rotates the halves (x1, x2) of each head of a row with position p:
//
//   y1 = x1 cos_p - sign x2 sin_p,  y2 = x2 cos_p + sign x1 sin_p
struct RotaryRows {
  int64_t rows, heads, d;
  const void* x;  // (rows, heads * d)
  int64_t x_stride;
  const float *cos, *sin;    // (positions, d / 2)
  const int64_t* positions;  // (rows)
  float sign;                // 1; -1 for the gradient
  Store store;               // element type of x and y
  void* y;                   // (rows, heads * d)
  int64_t y_stride;
};

enum class Curve : uint8_t { gelu, gelu_tanh, silu };

// y = curve(x) up
struct ActivationValues {
  int64_t count;
  Curve curve;
  Store store;         // element type of all arrays
  const void *x, *up;  // up may be null: 1
  void* y;
};

// by_x = by_y up curve'(x), by_up = by_y curve(x)
struct ActivationGradient {
  const void* by_y;
  void *by_x, *by_up;  // by_up is null if up is
};

// nll = -log softmax(logits)[target] per row. If `weights` is given, logits are replaced by the gradient of weight nll.
// NaN in a row of logits makes its results NaN.
struct LogitRows {
  int64_t rows, columns;  // columns > 0
  float* logits;
  const int64_t* targets;
  const float* weights;  // (rows); may be null
  float* nll;            // (rows)
};

struct RowsKernels {
  void (*rotate)(const RotaryRows&);
  void (*activate)(const ActivationValues&);
  void (*activate_backward)(const ActivationValues&, const ActivationGradient&);
  void (*token_loss)(const LogitRows&);
};

const RowsKernels& rows_kernels();  // for the best instruction set of this CPU

namespace v3 {
extern const RowsKernels rows_kernels;
}
namespace v4 {
extern const RowsKernels rows_kernels;
}

}  // namespace sartor::cuda
