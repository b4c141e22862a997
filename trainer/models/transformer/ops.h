// The operations of BERT over packed sequences, each with its gradient. What differs between the CPU and other devices
// is in ops.cpp and nowhere else: on the CPU kernels.h and oneDNN, elsewhere what libtorch has.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "models/transformer/activation.h"

namespace sartor::transformer {

// How a model computes attention. All give the same numbers to rounding, dropout aside.
enum class AttentionKind {
  packed,  // without padding, on the CPU by our kernel; elsewhere as sdpa
  sdpa,    // libtorch's scaled_dot_product_attention over the padded batch
  eager    // products and softmax one by one: gives the weights, too
};

// x w^T + bias for x (T, in), w (out, in) of fp32, bias (out). `compute` is fp32 or bf16; in bf16 the operands are
// rounded and the result is bf16.
//
// fp32 on AMD's AVX-512 goes through oneDNN, forward and both products of the backward: libtorch's own road (MKL)
// reaches 95 GFLOP/s a core there, oneDNN 218 to 230. On Intel, and with AVX2 alone, they are alike as products, and
// libtorch's stays, which multiplies transposed operands as they lie.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute);

// layer_norm(dropout(x) + residual) weight + bias, statistics in fp32; (T, H) of fp32 or bf16. A residual that is not
// defined is 0.
at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const at::Tensor& bias,
                    double eps, double dropout);

at::Tensor dropout(const at::Tensor& x, double probability);

at::Tensor activation(const at::Tensor& x, Activation kind);

// Which rows of q, and of k and v, belong to each sequence.
struct AttentionRows {
  std::vector<int64_t> q_offsets, k_offsets;  // (B + 1)
};

struct Attended {
  at::Tensor out;      // (Tq, H)
  at::Tensor weights;  // (B, heads, longest q, longest k) before dropout, 0 where there is no token; eager only
};

// Attention within each sequence: q (Tq, H), k and v (T, H), H = heads * d. Weights are dropped with probability
// `dropout`, by a seed that libtorch's default CPU generator gives: who saves that generator's state repeats them.
Attended attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionRows& rows, int64_t heads,
                double dropout, AttentionKind kind);

}  // namespace sartor::transformer
