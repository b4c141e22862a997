// Floating-point operations of a training step, for model FLOP utilization.
#pragma once

#include <cstdint>
#include <span>

#include "models/gpt/config.h"

namespace sartor::gpt {

// Trained parts of a model.
struct TrainedWork {
  int64_t frozen_layers = 0;    // number of lowest layers without a backward pass
  bool weights_trained = true;  // false: only adapters are trained; gradients of weights are not computed
  int64_t predicted = 0;        // number of tokens with logits over the vocabulary
};

// Floating-point operations of the matrix products in a forward and a backward pass over sequences of these lengths; a
// multiply-add counts as two. With hidden size H, intermediate size I, vocabulary size V, and sizes Q and K of all
// query and all key heads, the forward pass of a sequence of n tokens takes, in each layer,
//
//   2 n (2 H Q + 2 H K + c H I)  for products with weights (c is 3 for gated feed-forward layers, otherwise 2) and
//   2 n (n + 1) Q                for the two products of causal attention, n (n + 1) / 2 pairs of tokens;
//
// and 2 H V per predicted token. The output layer is frozen with the embeddings if it is tied to them. The backward
// pass takes twice as many, for the gradients of inputs and of weights (see models/bert/flops.h). Norms, activations,
// rotations, dropout, embeddings and adapters are not counted.
double training_flops(const GptConfig& config, std::span<const int32_t> lengths, const TrainedWork& work);

}  // namespace sartor::gpt
