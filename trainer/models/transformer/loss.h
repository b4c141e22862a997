// Losses as sums, which the training loop divides by the total weight of the optimizer step over all micro-batches and
// ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "models/transformer/problem.h"

namespace sartor::transformer {

struct Loss {
  at::Tensor sum;  // fp32 scalar, differentiable
  // sum / weight equals the loss in transformers; 0 if all labels are ignored. NaN if single labels are on an
  // accelerator, because their values are not read back.
  double weight = 0;
};

struct LossOptions {
  double label_smoothing = 0;  // 0 <= s < 1: (1 - s) nll + s mean_c(-log p_c); single label only
  at::Tensor class_weights;    // (labels) of fp32, weight of a row by its label; undefined: 1
};

// Loss of logits (B, labels) of fp32. Labels are int64 (B) for single-label classification, where negative labels are
// ignored; 0 or 1 in fp32 (B, labels) for multi-label classification; fp32 (B) or (B, labels) for regression. Throws
// std::invalid_argument if shapes or dtypes do not match or a label is out of range. Labels on an accelerator are not
// read back: require_labels() checks them before they are sent.
Loss classification_loss(const at::Tensor& logits, const at::Tensor& labels, Problem problem,
                         const LossOptions& options = {});

// Throws std::invalid_argument if a label is not below `classes`.
void require_labels(std::span<const int64_t> labels, int64_t classes);

// Mean of the two Kullback-Leibler divergences between two predictions for the same rows, logits (B, labels) of fp32,
// summed over rows. For single-label classification. R-Drop adds it, weighted, to the loss (Liang et al. 2021, 2.1).
at::Tensor disagreement(const at::Tensor& logits, const at::Tensor& others);

// Loss of logits (R, V) of fp32 for the original tokens, int64 (R); negative ones are ignored.
Loss masked_lm_loss(const at::Tensor& logits, const at::Tensor& tokens);

}  // namespace sartor::transformer
