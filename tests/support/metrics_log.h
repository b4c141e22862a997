// Reads metrics.jsonl of a run.
#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace sartor::testing {

// Lines of the log that have a given split: "train", "validation".
inline std::vector<nlohmann::json> lines_of(const std::string& log, const std::string& part) {
  std::vector<nlohmann::json> found;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    auto entry = nlohmann::json::parse(line);
    if (entry.contains(part)) found.push_back(std::move(entry));
  }
  return found;
}

// Values of one metric of a split, such as "loss".
inline std::vector<double> values_of(const std::string& log, const std::string& part, const std::string& name) {
  std::vector<double> values;
  for (const auto& line : lines_of(log, part)) values.push_back(line[part][name]);
  return values;
}

}  // namespace sartor::testing
