// Floating-point operations of a training step, for model FLOP utilization.
#pragma once

#include <cstdint>
#include <span>

#include "models/bert/config.h"

namespace sartor::bert {

// Trained parts of a model, and its head.
struct TrainedWork {
  Head head = Head::classification;
  int64_t frozen_layers = 0;    // number of lowest layers without a backward pass
  bool weights_trained = true;  // false: only adapters are trained; gradients of weights are not computed
  int64_t predicted = 0;        // masked_lm: number of tokens with logits over the vocabulary
};

// Floating-point operations of the matrix products in a forward and a backward pass over sequences of these lengths; a
// multiply-add counts as two. With hidden size H, intermediate size I, vocabulary size V and C labels, the forward pass
// of a sequence of n tokens takes, in each layer,
//
//   2 n (4 H^2 + 2 H I)  for products with weights and  4 n^2 H  for the two products of attention;
//
// in the last layer of a classifier, which computes keys and values for all tokens and the rest only for the first one,
//
//   2 n 2 H^2 + 2 (2 H^2 + 2 H I)  and  4 n H;
//
// and in the head 2 (H^2 + H C), or 2 (H^2 + H V) per predicted token. The backward pass takes twice as many, for the
// gradients of inputs and of weights: "6 x weights x tokens + attention" (Kaplan et al. 2020, Chowdhery et al. 2022),
// restricted to what is computed. Norms, activations, dropout, embeddings and adapters are not counted.
double training_flops(const BertConfig& config, std::span<const int32_t> lengths, const TrainedWork& work);

}  // namespace sartor::bert
