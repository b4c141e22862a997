// How far a metric of some rows may lie from that of all rows there could be.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// Where a metric lies when the rows are drawn again.
struct MetricInterval {
  std::string name;
  double value, low, high;
};

struct BootstrapOptions {
  int64_t draws = 1000;
  double level = 0.95;
  uint64_t seed = 1;
};

// Metrics of rows of which each counts weights[row] times.
using WeightedMetrics = std::function<std::vector<Metric>(std::span<const int32_t> weights)>;

// The metrics of `rows` rows, each counted once, with their percentile bootstrap intervals (Efron 1979) at `level`:
// rows are drawn with replacement `draws` times, quantiles are linear between order statistics, as numpy's. The same
// seed gives the same intervals; without draws low and high are the value.
std::vector<MetricInterval> bootstrap(int64_t rows, const WeightedMetrics& metrics,
                                      const BootstrapOptions& options = {});

}  // namespace sartor
