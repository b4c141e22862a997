#include "tasks/generators/preference_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

namespace sartor {

at::Tensor PreferenceLoss::operator()(const at::Tensor& log_ratios, const at::Tensor& tokens) const {
  if (ipo) {
    const auto means = log_ratios / tokens.clamp_min(1);
    return (means[0] - means[1] - 1 / (2 * beta)).square();
  }
  const auto logits = beta * (log_ratios[0] - log_ratios[1]);
  const auto loss = -(1 - label_smoothing) * at::log_sigmoid(logits);
  return label_smoothing > 0 ? loss - label_smoothing * at::log_sigmoid(-logits) : loss;
}

}  // namespace sartor
