// Rotary position embedding (Su et al. 2021).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

namespace sartor::transformer {

// Cosines and sines for the tokens of a batch, made once for all layers.
struct TokenAngles {
  // On the CPU the tables (P, d / 2) and each token's row, int64. On accelerators (T, 1, d): [cos, cos], [-sin, sin].
  at::Tensor cos, sin, rows_T;
};

// cos and sin are tables (P, d / 2) of fp32, position_ids_T is int64 with values 0 to P - 1. Throws
// std::invalid_argument if the tables' shapes differ.
TokenAngles token_angles(const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T);

// Rotates each head of x (T, heads * d) of fp32 or bf16 according to the position p of its token. With the halves
// x1 = x[0 : d/2] and x2 = x[d/2 : d] of a head:
//
//   y1 = x1 cos_p - x2 sin_p,  y2 = x2 cos_p + x1 sin_p
//
// as in transformers' Llama (adjacent elements do not form pairs). The arithmetic is in fp32, whatever the dtype of x.
// Differentiable with respect to x. Throws std::invalid_argument if shapes do not match.
at::Tensor rotate(const at::Tensor& x, const TokenAngles& angles, int64_t head_size);
// The same for queries and keys; accelerators rotate both at once.
std::pair<at::Tensor, at::Tensor> rotate(const at::Tensor& query, const at::Tensor& key, const TokenAngles& angles,
                                         int64_t head_size);
// The same as rotate(x, token_angles(cos, sin, position_ids_T), head_size).
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T,
                  int64_t head_size);

}  // namespace sartor::transformer
