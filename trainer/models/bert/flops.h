// How much a model computes: what a training's rate is reckoned from.
#pragma once

#include <cstdint>
#include <span>

#include "models/bert/config.h"

namespace sartor::bert {

// What of a model is trained, and to what end.
struct TrainedWork {
  Head head = Head::classification;
  int64_t frozen_layers = 0;    // lowest layers without a backward pass
  bool weights_trained = true;  // false: adapters beside them are, the weights' own gradients are not computed
  int64_t predicted = 0;        // masked_lm: tokens whose scores over the vocabulary are computed
};

// Floating-point operations of the products of a forward and a backward pass over sequences of these lengths, a
// multiplication and an addition being two. With H the hidden size, I the intermediate size, V the vocabulary, C the
// labels, a sequence of n tokens takes forward, in each layer,
//
//   2 n (4 H^2 + 2 H I)  for the weights and  4 n^2 H  for attention's two products,
//
// in the last one of a classification, which computes keys and values for all tokens and the rest for the first alone,
//
//   2 n 2 H^2 + 2 (2 H^2 + 2 H I)  and  4 n H,
//
// and in the head 2 (H^2 + H C), or 2 (H^2 + H V) for each predicted token. The backward pass takes the same twice, for
// the gradients of what came in and of the weights: "6 x weights x tokens + attention" (Kaplan et al. 2020, Chowdhery
// et al. 2022), of what is computed and no more. Norms, activations, dropout and embeddings are not counted, nor what
// adapters add; attention has no weights.
double training_flops(const BertConfig& config, std::span<const int32_t> lengths, const TrainedWork& work);

}  // namespace sartor::bert
