// Metrics by what they are of, as a run logs and shows them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "metrics/metric.h"

namespace sartor {

// {{"test", {{"rmse", 0.91}, {"mae", 0.72}}}}
using Scores = std::vector<std::pair<std::string, std::vector<Metric>>>;

// {"test": {"rmse": 0.91, "mae": 0.72}}. What is not finite becomes null.
nlohmann::ordered_json to_json(const Scores& scores);

// "test rmse 0.91 mae 0.72": the first four metrics of each, for a line of progress.
std::string in_words(const Scores& scores);

}  // namespace sartor
