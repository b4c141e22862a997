// A named metric, such as {"recall@10", 0.21}.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace sartor {

struct Metric {
  std::string name;
  double value;
};

// Whether lower values of the metric are better. A cutoff, as in "gini@10", makes no difference.
inline bool lower_is_better(std::string_view metric) {
  constexpr std::string_view errors[] = {"loss", "log_loss", "perplexity", "bits_per_byte",  "calibration_error",
                                         "rmse", "mae",      "gini",       "davies_bouldin", "inertia"};
  return std::ranges::find(errors, metric.substr(0, metric.find('@'))) != std::end(errors);
}

}  // namespace sartor
