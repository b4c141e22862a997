// Errors of predicted ratings.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// Accumulates pairs of prediction p and true rating t, in double precision:
//
//   rmse = sqrt(mean((p - t)^2))      mae = mean(|p - t|)
//
// An aggregate, so that processes can sum its members. A non-finite prediction makes both metrics non-finite.
struct RatingMetrics {
  int64_t count = 0;
  double squared = 0, absolute = 0;

  void add(double predicted, double truth) {
    const double error = predicted - truth;
    count++;
    squared += error * error;
    absolute += std::abs(error);
  }

  void merge(const RatingMetrics& other) {
    count += other.count;
    squared += other.squared;
    absolute += other.absolute;
  }

  // {"rmse", "mae"}; empty without pairs.
  std::vector<Metric> finish() const {
    if (count == 0) return {};
    return {{"rmse", std::sqrt(squared / count)}, {"mae", absolute / count}};
  }
};

}  // namespace sartor
