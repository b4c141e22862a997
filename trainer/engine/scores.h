// Metrics by split or model, as a run logs and shows them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// {{"test", {{"rmse", 0.91}, {"mae", 0.72}}}}
using Scores = std::vector<std::pair<std::string, std::vector<Metric>>>;

// {"test": {"rmse": 0.91, "mae": 0.72}}. Values that are not finite become null.
nlohmann::ordered_json to_json(const Scores& scores);

// "test rmse 0.91 mae 0.72": the first four metrics of each, for the progress line.
std::string in_words(const Scores& scores);

}  // namespace sartor
