// Calibration of probabilities by temperature scaling of the logits (Guo et al. 2017).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// Probabilities of logits divided by the temperature (above 0): softmax per row of (n, classes), or sigmoid per element
// of (n). Sums are in double precision.
std::vector<float> softmax(std::span<const float> logits, int64_t classes, double temperature = 1);
std::vector<float> sigmoid(std::span<const float> logits, double temperature = 1);

// The temperature between 0.01 and 100 that minimizes the log loss. The loss is convex in b = 1 / temperature:
//
//   softmax   mean over rows of    ln sum_k exp(b z_k) - b z_label      slope: mean of sum_k p_k z_k - z_label
//   sigmoid   mean over values of  ln(1 + exp(b z)) - b y z                    mean of (p - y) z
//
// Returns std::nullopt if the minimum is outside that range, for example if every label has the highest logit, which
// favors b -> infinity. Labels (n) are 0 to classes - 1; for sigmoids 0 or 1. Throws std::invalid_argument on
// mismatched sizes and labels out of range.
std::optional<double> softmax_temperature(std::span<const float> logits, std::span<const int32_t> labels,
                                          int64_t classes);
std::optional<double> sigmoid_temperature(std::span<const float> logits, std::span<const float> labels);

// Calibration metrics of probabilities (n) for binary labels (n); empty for n = 0:
//
//   log_loss             mean of -ln p for label 1 and -ln(1 - p) for label 0; p and 1 - p are at least 2.2e-16
//   calibration_error    sum over 15 bins of equal width: share of values in the bin times |mean p - share of ones|
std::vector<Metric> binary_calibration(std::span<const float> labels, std::span<const float> probabilities);

}  // namespace sartor
