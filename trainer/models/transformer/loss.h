// Losses of the heads, as sums: whoever trains divides by the weights of the whole optimizer step, over all of its
// micro-batches and ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/transformer/problem.h"

namespace sartor::transformer {

struct Loss {
  at::Tensor sum;     // scalar of fp32, with a gradient
  double weight = 0;  // sum / weight is transformers' loss of the batch; 0 where no label counts
};

struct LossOptions {
  double label_smoothing = 0;  // 0 <= s < 1: (1 - s) nll + s mean_c(-log p_c); single label only
  at::Tensor class_weights;    // (labels) of fp32: each row counts with that of its label; not defined: 1
};

// logits (B, labels) of fp32. labels: for one label of each row int64 (B), negative ones not counted; for several
// labels 0 or 1 as fp32 (B, labels), for regression fp32 (B) or (B, labels). Throws std::invalid_argument on other
// shapes or dtypes, and on a label that is out of range.
Loss classification_loss(const at::Tensor& logits, const at::Tensor& labels, Problem problem,
                         const LossOptions& options = {});

// How far two answers to the same rows, logits (B, labels) of fp32, are apart: the mean of both Kullback-Leibler
// divergences, summed over rows, for a single label; R-Drop adds it, weighted, to the loss (Liang et al. 2021, 2.1).
at::Tensor disagreement(const at::Tensor& logits, const at::Tensor& others);

// logits (R, V) of fp32 and the tokens that stand there, int64 (R), negative ones not counted.
Loss masked_lm_loss(const at::Tensor& logits, const at::Tensor& tokens);

}  // namespace sartor::transformer
