// Language modeling losses without an array of tokens x vocabulary: logits are computed in chunks of tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/transformer/ops/kept_cast.h"

namespace sartor::transformer {

// sum_t w_t nll_t, a scalar of fp32, where nll_t = -log softmax(x_t weight^T)[target_t]. x (T, H) are the hidden states
// of the counted positions, weight (V, H) of fp32 is the output layer (a leaf, or frozen), targets (T) are int64 in
// 0 to V - 1, and token_weights (T) are fp32 constants. `compute` is the dtype of the products, fp32 or bf16; logits
// and softmax are in fp32, the gradient of the logits is rounded to `compute`, and the gradient of the weight is summed
// in fp32.
//
// `kept`, if given, keeps the rounded weight of accelerators until it changes.
//
// The gradients of x and weight are computed in the forward pass if they are needed, which saves the second computation
// of the logits; the backward pass only scales them, and can run once.
at::Tensor token_loss(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& targets,
                      const at::Tensor& token_weights, at::ScalarType compute, const KeptCast* kept = nullptr);

// log softmax(x_t weight^T)[target_t] (T) of fp32, differentiable with respect to x and weight. The backward pass
// computes the logits again.
at::Tensor token_log_probabilities(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& targets,
                                   at::ScalarType compute, const KeptCast* kept = nullptr);

}  // namespace sartor::transformer
