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

// Whether lower values of the metric are better.
inline bool lower_is_better(std::string_view metric) {
  constexpr std::string_view errors[] = {"loss", "log_loss", "perplexity", "bits_per_byte", "calibration_error",
                                         "rmse", "mae"};
  return std::ranges::find(errors, metric) != std::end(errors);
}

}  // namespace sartor
