// Probabilities that are as often right as they say: logits divided by a temperature (Guo et al. 2017).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// Of logits (n, classes) or (n): each row's softmax, each value's sigmoid, of the logits divided by the temperature.
// Sums are double. Temperatures are above 0.
std::vector<float> softmax(std::span<const float> logits, int64_t classes, double temperature = 1);
std::vector<float> sigmoid(std::span<const float> logits, double temperature = 1);

// The temperature of least log loss, from 0.01 to 100. With b = 1 / temperature the loss is convex:
//
//   softmax   mean over rows of    ln sum_k exp(b z_k) - b z_label      its slope: mean of sum_k p_k z_k - z_label
//   sigmoid   mean over values of  ln(1 + exp(b z)) - b y z                        mean of (p - y) z
//
// Nothing where the least lies outside: every label has the highest logit, say, so that no certainty is too much.
// labels (n) in 0 .. classes - 1; for sigmoids (n) of 0 and 1. Throws std::invalid_argument on sizes that do not fit
// and labels out of range.
std::optional<double> softmax_temperature(std::span<const float> logits, std::span<const int32_t> labels,
                                          int64_t classes);
std::optional<double> sigmoid_temperature(std::span<const float> logits, std::span<const float> labels);

// Of probabilities (n) of labels (n), 0 or 1:
//
//   log_loss             mean of -ln p for labels of 1 and -ln(1 - p) for 0, neither below 2.2e-16
//   calibration_error    sum over 15 bins of equal width of p: the bin's share times |mean p - share of ones|
//
// None without values.
std::vector<Metric> binary_calibration(std::span<const float> labels, std::span<const float> probabilities);

}  // namespace sartor
