#include "models/transformer/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mse_loss.h>

#include <algorithm>
#include <limits>

#include "base/require.h"
#include "models/hf/safetensors.h"

namespace sartor::transformer {
namespace {

constexpr int64_t ignored = -100;

Loss cross_entropy(const at::Tensor& logits, const at::Tensor& labels, const LossOptions& options) {
  require(labels.scalar_type() == at::kLong && labels.dim() == 1 && labels.size(0) == logits.size(0),
          "labels: expected ({}) of int64, found {}", logits.size(0), hf::shape_text(labels.sizes()));
  const bool weighted = options.class_weights.defined();
  double weight = std::numeric_limits<double>::quiet_NaN();
  if (labels.is_cpu()) {
    const auto kept = labels.masked_select(labels.ge(0));
    if (kept.numel() == 0) return {logits.sum() * 0, 0};
    require_labels({kept.const_data_ptr<int64_t>(), static_cast<size_t>(kept.numel())}, logits.size(1));
    weight =
        weighted ? options.class_weights.index_select(0, kept).sum().item<double>() : static_cast<double>(kept.numel());
  }
  const auto targets = labels.masked_fill(labels.lt(0), ignored);
  auto sum = at::cross_entropy_loss(logits, targets, weighted ? std::optional(options.class_weights) : std::nullopt,
                                    at::Reduction::Sum, ignored, options.label_smoothing);
  return {std::move(sum), weight};
}

}  // namespace

Loss classification_loss(const at::Tensor& logits, const at::Tensor& labels, Problem problem,
                         const LossOptions& options) {
  require(!options.class_weights.defined() || options.class_weights.numel() == logits.size(1),
          "{} class weights for {} labels", options.class_weights.defined() ? options.class_weights.numel() : 0,
          logits.size(1));
  if (problem == Problem::single_label) return cross_entropy(logits, labels, options);
  require(options.label_smoothing == 0, "label smoothing requires a single label per row");
  require(labels.scalar_type() == at::kFloat && labels.numel() == logits.numel() && labels.size(0) == logits.size(0),
          "labels: expected {} of float, found {}", hf::shape_text(logits.sizes()), hf::shape_text(labels.sizes()));
  const auto targets = labels.view_as(logits);
  const auto weight = static_cast<double>(logits.numel());
  if (problem == Problem::multi_label) {
    const auto weights = options.class_weights.defined() ? std::optional(options.class_weights) : std::nullopt;
    return {at::binary_cross_entropy_with_logits(logits, targets, weights, {}, at::Reduction::Sum), weight};
  }
  require(!options.class_weights.defined(), "class weights cannot be used for regression");
  return {at::mse_loss(logits, targets, at::Reduction::Sum), weight};
}

void require_labels(std::span<const int64_t> labels, int64_t classes) {
  const auto highest = labels.empty() ? -1 : std::ranges::max(labels);
  require(highest < classes, "label {}, expected less than {}", highest, classes);
}

at::Tensor disagreement(const at::Tensor& logits, const at::Tensor& others) {
  const auto log_p = at::log_softmax(logits, 1), log_q = at::log_softmax(others, 1);
  return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum() / 2;
}

Loss masked_lm_loss(const at::Tensor& logits, const at::Tensor& tokens) { return cross_entropy(logits, tokens, {}); }

}  // namespace sartor::transformer
