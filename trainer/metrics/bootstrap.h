// Bootstrap confidence intervals of metrics.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// A metric with its confidence interval.
struct MetricInterval {
  std::string name;
  double value, low, high;
};

struct BootstrapOptions {
  int64_t draws = 1000;
  double level = 0.95;
  uint64_t seed = 1;
};

// Computes metrics in which each row counts weights[row] times.
using WeightedMetrics = std::function<std::vector<Metric>(std::span<const int32_t> weights)>;

// Metrics of `rows` rows with percentile bootstrap intervals (Efron 1979) at `level`: `draws` samples of rows with
// replacement; quantiles interpolate linearly between order statistics, as in numpy. Deterministic for a given seed.
// With draws = 0, low and high equal the value.
std::vector<MetricInterval> bootstrap(int64_t rows, const WeightedMetrics& metrics,
                                      const BootstrapOptions& options = {});

}  // namespace sartor
